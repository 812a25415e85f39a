// A client from before this schema, on a database that was adopted. No release by the old names is to
// be had: every published one says commandbus.command. So its statements are given the old names.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { becomes } from '../support/becomes.ts'
import { createLegacySchema, fillLegacyTables } from '../support/legacy.ts'
import { runMigrations } from '../support/migrations.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { installPythonPackage } from '../support/python.ts'
import { findsMessagesByPosition, openClientSession } from './reliable-cmd.ts'

const library = await installPythonPackage('reliable-cmd', '0.1.9', { dependencies: true })
const missing = 'missing' in library && library.missing
if (missing)
  process.stderr.write(`\n*** the old names are not tested by a client: ${missing} ***\n\n`)

test('a client that knows only the old names', { skip: missing }, async (t) => {
  if ('missing' in library) return
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await fillLegacyTables(pool)
  if (!(await findsMessagesByPosition(pool))) {
    process.stderr.write(
      '\n*** the old names are not tested by a client: it needs PGMQ 1.9 or older ***\n\n',
    )
    return
  }
  await runMigrations(url)
  const client = openClientSession(withOldNames(t, library.dir), url)
  t.teardown(() => client.close())
  const call = async (statement: string, values: unknown[] = []) =>
    (await pool.query(statement, values)).rows

  await t.rejects(
    client.call('send', 'payments', 'Succeed', {}),
    /UndefinedTable/,
    'is refused before they are installed',
  )

  await call('select commandbus.install_legacy_names()')
  await client.call('work', 'test', 0.05)
  const { batchId, commandIds } = await client.call<{ batchId: string; commandIds: string[] }>(
    'send_batch',
    'test',
    ['Succeed', 'FailOnce', 'FailUntilRetried', 'FailAlways'],
  )
  const batch = async () =>
    (
      await call(
        `select status, completed_count, canceled_count, in_troubleshooting_count
           from command_bus_batch where batch_id = $1`,
        [batchId],
      )
    )[0]

  await becomes(t, batch, {
    status: 'IN_PROGRESS',
    completed_count: 2,
    canceled_count: 0,
    in_troubleshooting_count: 2,
  })
  await client.call('operator_retry', 'test', commandIds[2])
  await client.call('operator_cancel', 'test', commandIds[3])
  await becomes(t, batch, {
    status: 'COMPLETED_WITH_FAILURES',
    completed_count: 3,
    canceled_count: 1,
    in_troubleshooting_count: 0,
  })
  await becomes(t, () => client.call('list_completed_batches'), [
    [batchId, 'COMPLETED_WITH_FAILURES'],
  ])
  t.strictSame(
    await call('select event_type from command_bus_audit where command_id = $1 order by audit_id', [
      commandIds[3],
    ]),
    ['SENT', 'RECEIVED', 'FAILED', 'RECEIVED', 'MOVED_TO_TSQ', 'OPERATOR_CANCEL'].map(
      (event_type) => ({ event_type }),
    ),
  )
})

/** A copy of the installed library whose statements use the names of before. */
function withOldNames(t: Test, dir: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'commandbus-old-client-'))
  t.teardown(() => rmSync(copy, { recursive: true, force: true }))
  cpSync(dir, copy, { recursive: true })
  let changed = 0
  for (const file of readdirSync(join(copy, 'commandbus'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.py')) continue
    const path = join(copy, 'commandbus', file)
    const before = readFileSync(path, 'utf8')
    const after = before
      // In capitals, as in its statements: Python's own "from commandbus.batch import" stays.
      .replaceAll(
        /\b(FROM|INTO|UPDATE|JOIN) commandbus\.(batch|command|audit)\b/g,
        '$1 command_bus_$2',
      )
      .replaceAll(/\bcommandbus\.(sp_\w+\()/g, '$1')
    if (after === before) continue
    changed++
    writeFileSync(path, after)
  }
  t.ok(changed > 0, 'the library has statements to change')
  return copy
}
