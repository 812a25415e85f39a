// Files that are sent in batches behave as files that are sent as one text.
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { type RunnerOptions, runTool } from '../../../src/migrations/tool/runner.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { describeRun } from '../../support/tool-run.ts'

const ROWS = 14_000
const INSERTS = Array.from(
  { length: ROWS },
  (_, row) => `insert into public.t values (${row}, 'ä😀', ':SOME_NAME');\n`,
).join('')
const LARGE = `create table public.t (i int, name text, placeholder text);\n${INSERTS}`

async function run(t: Test, bodies: readonly string[], more: Partial<RunnerOptions> = {}) {
  const database = await createTestDatabase(t, { from: 'empty' })
  const { pool } = database
  const options = await describeRun(t, database, bodies)
  const { pending, migrationsDir } = options
  t.notOk(pending[0]?.body, `${join(migrationsDir, 'committed')} has a large file`)
  const settings = { placeholders: { ':SOME_NAME': 'a longer\nvalue' }, pgSettings: {} }
  const error = await runTool({ ...options, settings, ...more }).then(
    () => undefined,
    (thrown) => thrown,
  )
  const { rows } = await pool.query<{ found: boolean }>(
    `select to_regclass('public.t') is not null as found`,
  )
  return { pool, error, exists: rows[0]?.found, bodyLine: pending[0]?.bodyLine ?? 0 }
}

test('a large file is applied whole, with its placeholders, and recorded with its own hash', async (t) => {
  const { pool, error } = await run(t, [
    `${LARGE}set search_path = pg_catalog;`,
    `create table second as select count(*)::int as rows, min(placeholder) as placeholder from public.t;`,
  ])

  t.equal(error, undefined)
  const { rows } = await pool.query('select * from public.second')
  t.strictSame(rows, [{ rows: ROWS, placeholder: 'a longer\nvalue' }], 'in a session of its own')
})

const FAILING: readonly (readonly [string, object])[] = [
  ['insert into public.t values (1 / 0);', { code: 'migration_failed', sqlstate: '22012' }],
  ["insert into public.t values ('ä', x);", { code: 'migration_failed', sqlstate: '42703' }],
  ['rollback;', { code: 'transaction_control', statement: 'rollback' }],
  ['\\restrict abc', { code: 'migration_failed', statement: '\\restrict abc' }],
]
for (const [statement, expected] of FAILING) {
  test(`far down in a large file, its line is named: ${statement}`, async (t) => {
    const { error, exists, bodyLine } = await run(t, [`${LARGE}\n${statement}\n${INSERTS}`])

    const { code, extensions } = error
    const text = statement
    t.match({ code, ...extensions }, { ...expected, line: bodyLine + ROWS + 2, text })
    t.equal(exists, false, 'nothing is left')
  })
}

test('a large file outside a transaction is one transaction, as PostgreSQL runs one text', async (t) => {
  const applied = await run(t, [`--! no-transaction\n${LARGE}`])
  t.equal(applied.error, undefined)
  t.equal(applied.exists, true)

  const failed = await run(t, [`--! no-transaction\n${LARGE}\nselect 1 / 0;`])
  t.match(failed.error, { extensions: { line: failed.bodyLine + ROWS + 3, text: 'select 1 / 0;' } })
  t.equal(failed.exists, false)
})

test('a large file that changes how PostgreSQL reads what follows is refused in words', async (t) => {
  const { error, exists } = await run(t, [
    `set client_encoding = 'LATIN1';\nset standard_conforming_strings = on;\n${LARGE}`,
  ])
  t.match(error.message, 'the file changes standard_conforming_strings or client_encoding')
  t.equal(exists, false)
})
