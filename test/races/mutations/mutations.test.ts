import type pg from 'pg'
import t from 'tap'
import { createTestDatabase } from '../../support/postgres.ts'
import { runRaces } from '../run-races.ts'
import { type Mutation, mutations } from './mutations.ts'

// A race depends on timing: most show within 2,000 calls, and now and then one does not within 20,000. One that does
// not show in this many counts as not found.
const calls = 80_000

for (const mutation of mutations) {
  t.test(`the race test finds it when ${mutation.name}`, async (t) => {
    const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
    await mutate(pool, mutation)

    const kind = mutation.kind && { kind: mutation.kind }
    const options = { seed: 0, calls, repeat: 1, lanes: 2, ...kind }
    const { summary, failed } = await runRaces(url, options)
    t.ok(failed, `found after ${summary.calls} calls: ${failed?.problems[0]}`)
  })
}

/** Puts the defect into this database's functions. */
async function mutate(pool: pg.Pool, mutation: Mutation): Promise<void> {
  for (const change of mutation.changes) {
    const { rows } = await pool.query<{ definition: string }>(
      `select pg_get_functiondef(oid) as definition
         from pg_proc
        where pronamespace = 'commandbus'::regnamespace and proname = $1`,
      [change.function],
    )
    const before = rows[0]?.definition ?? ''
    const after = before.replace(change.text, change.by)
    if (after === before) throw new Error(`${change.function} has no ${change.text} any more`)
    await pool.query(after)
  }
}
