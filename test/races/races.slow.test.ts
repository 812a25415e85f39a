import t from 'tap'
import { createTestDatabase } from '../support/postgres.ts'
import { type Kind, kinds } from './generate.ts'
import { describeFailure, runRaces } from './run-races.ts'

// Differs in each run; `npm run test:races` runs for as long as you like.
const seed = Math.floor(Math.random() * 1_000_000) * 20

for (const kind of Object.keys(kinds) as Kind[]) {
  t.test(`no ${kind} schedule of workers and operators breaks a rule`, async (t) => {
    t.comment(`first seed ${seed}`)
    const { url } = await createTestDatabase(t, { from: 'migrated' })
    const calls = kind === 'large' ? 1 : 1_000

    const { summary, failed } = await runRaces(url, { seed, kind, calls, repeat: 1, lanes: 1 })

    t.equal(failed && describeFailure(failed, kind), undefined)
    t.ok(summary.checks > 0, 'an observer compared counters and commands meanwhile')
  })
}
