// What a left-over container of the client's project does to a database of ours.
import { test } from 'tap'
import { beginRecording, finishRecording } from '../../src/baseline/recorder.ts'
import { compareWithRecord } from '../../src/drift/compare.ts'
import { runMigrations } from '../support/migrations.ts'
import { createOrigin, firstFile, origins, refreshFunctions } from '../support/origins.ts'
import { createTestDatabase } from '../support/postgres.ts'

const REPLACED = [
  'sp_fail_command(text, uuid, text, text, text, integer, integer, bigint)',
  'sp_finish_command(text, uuid, text, text, text, text, text, jsonb, uuid)',
  'sp_receive_command(text, uuid, text, bigint, integer)',
  'sp_start_batch(text, uuid)',
  'sp_tsq_cancel(text, uuid)',
  'sp_tsq_complete(text, uuid)',
  'sp_tsq_retry(text, uuid)',
  'sp_update_batch_counters(text, uuid, text)',
]

for (const [origin, additions] of [
  ['an empty database', undefined] as const,
  ...Object.entries(origins),
]) {
  test(`upstream's first file, run again over ours, is seen: ${origin}`, async (t) => {
    const { url, pool, open } = await createTestDatabase(t, { from: 'empty' })
    const session = await open('test')
    t.teardown(() => session.end())
    if (additions !== undefined) await createOrigin(pool, additions)
    t.equal(await beginRecording(session), undefined)
    await runMigrations(url)
    await finishRecording(session)
    t.match(await compareWithRecord(session), { inSync: true, differences: [] })

    await pool.query(firstFile)

    const { differences } = await compareWithRecord(session)
    const functions = differences.filter(({ kind }) => kind === 'function')
    t.strictSame(
      functions.map(({ name, change }) => `${change} ${name}`),
      REPLACED.map((name) => `changed commandbus.${name}`),
    )
    for (const { detail } of functions) {
      t.match(
        detail,
        /definition differs from line \d+: .+, was .+ \(lines: \d+ added, \d+ removed\)/,
      )
    }
    const others = differences.filter(({ kind }) => kind !== 'function')
    t.strictSame(
      others.filter(({ kind, change }) => !(change === 'added' && kind === 'index')),
      [],
      'apart from duplicate indexes',
    )
    t.ok(others.length > 0)

    await pool.query(refreshFunctions.fiveColumns)
    const { differences: all } = await compareWithRecord(session)
    t.match(
      all.filter(({ name }) => name.includes('sp_refresh_batch_stats')),
      [{ change: 'changed', kind: 'function', detail: /was/ }],
    )
  })
}

test('without the schema e2e, and with the legacy names installed, nothing is drift', async (t) => {
  const { url, pool, open } = await createTestDatabase(t, { from: 'empty' })
  const session = await open('test')
  t.teardown(() => session.end())
  await beginRecording(session)
  await runMigrations(url, { e2e: 'off' })
  await finishRecording(session)
  await pool.query('select commandbus.install_legacy_names()')
  t.match(await compareWithRecord(session), { inSync: true, differences: [] })
  await pool.query('select commandbus.remove_legacy_names()')
  t.match(await compareWithRecord(session), { inSync: true, differences: [] })
})
