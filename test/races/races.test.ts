import t from 'tap'
import { createTestDatabase } from '../support/postgres.ts'
import { describeFailure, runRaces } from './run-races.ts'

t.test('no schedule of workers and operators breaks a rule', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'migrated' })
  // Another one in each run: `npm run test:races` goes on for as long as one likes.
  const seed = Math.floor(Math.random() * 1_000_000) * 20

  // Every twentieth schedule is a large one.
  for (const options of [
    { seed, calls: 5_000 },
    { seed: seed + 19, calls: 1 },
  ]) {
    const { summary, failed } = await runRaces(url, { ...options, repeat: 1, lanes: 1 })
    t.equal(failed && describeFailure(failed), undefined)
    t.ok(summary.looks > 0, 'an observer has compared counters and commands while they ran')
  }
})
