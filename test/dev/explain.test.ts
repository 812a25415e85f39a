import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'tap'
import { addPending, explainCall } from '../../dev/explain/explain-call.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { projectDir } from '../support/server.ts'

const fixtures = join(projectDir, 'migrations', 'fixtures')

test('db:explain', async (t) => {
  const { pool, open } = await createTestDatabase(t, { from: 'migrated' })
  const client = await open('test')
  t.teardown(() => client.end())
  const batchId = randomUUID()
  await pool.query(
    `insert into commandbus.batch (domain, batch_id, total_count) values ('shop', $1, 1)`,
    [batchId],
  )

  t.test('shows each statement inside the function with its place and plan', async (t) => {
    const given = ['shop', batchId]
    const lines = await explainCall(client, { name: 'sp_start_batch', given, fixtures })

    const places = lines.filter((line) => line.startsWith(fixtures))
    t.match(places.join('\n'), /lock_pending_batch\.sql:\d+\n.*start_batch\.sql:\d+/)
    const [place = '', statement = '', plan = ''] = lines
    t.match(place, /lock_pending_batch\.sql:\d+$/)
    t.match(statement, /^ {2}select batch\.\*\n/)
    t.match(plan, /^ {2}LockRows {2}\(cost=.*\n.*Index Scan/)
    t.strictSame(lines.slice(-2), ['returned {"sp_start_batch":true}', 'rolled back'])
  })

  t.test('rolls back what the call did', async (t) => {
    const { rows } = await pool.query('select status from commandbus.batch where batch_id = $1', [
      batchId,
    ])
    t.strictSame(rows, [{ status: 'PENDING' }])
  })

  t.test('names what it cannot call', async (t) => {
    for (const [name, given, message] of [
      [undefined, [], /expected the name of a function/],
      ['sp_begin_batch', [], /there is no function sp_begin_batch/],
      [
        'tg_command__mark_inserted',
        [],
        /^commandbus\.tg_command__mark_inserted is a trigger function/,
      ],
      [
        'sp_start_batch',
        ['shop'],
        /^commandbus\.sp_start_batch takes 2 arguments \(p_domain text, p_batch_id uuid\); found 1: npm run/,
      ],
      ['sp_receive_command', [], /^commandbus\.sp_receive_command takes 2 to \d arguments \(/],
      [
        'start_batch',
        ['shop', batchId, 'true', 'more'],
        /^commandbus\.start_batch takes 3 arguments \(p_domain text, p_batch_id uuid, p_wait boolean\); found 4/,
      ],
    ] as const) {
      await t.rejects(explainCall(client, { name, given, fixtures }), {
        code: 'call_not_possible',
        message,
      })
    }
  })

  t.test('passes null, and leaves out arguments with defaults', async (t) => {
    const given = ['shop', 'null']
    const lines = await explainCall(client, {
      name: 'commandbus.sp_receive_command',
      given,
      fixtures,
    })
    t.strictSame(lines.slice(-2), ['returned no row', 'rolled back'])
  })

  t.test("a call that fails is PostgreSQL's own error, and the next call works", async (t) => {
    const call = (name: string, ...given: string[]) =>
      explainCall(client, { name, given, fixtures })

    await t.rejects(call('sp_start_batch', 'payments', 'not-a-uuid'), {
      ...{ code: 'call_failed', exitCode: 4 },
      message: /^the call failed: invalid input syntax for type uuid: "not-a-uuid" \(22P02\)$/,
    })
    await t.rejects(call('sp_receive_command', 'shop', randomUUID(), 'COMPLETED'), {
      code: 'call_failed',
      message:
        /^the call failed: .*\/sp_receive_command\.sql:35: a receive cannot set .* \(22023\)\n {2}hint: /,
    })
    t.equal((await call('sp_start_batch', 'shop', batchId)).at(-1), 'rolled back')
  })
})

test('db:explain on a database without migrations says what is pending', async (t) => {
  const { open } = await createTestDatabase(t, { from: 'empty' })
  const client = await open('test')
  t.teardown(() => client.end())
  const call = explainCall(client, { name: 'sp_start_batch', given: [], fixtures })

  await t.rejects(call.catch(addPending(client, join(projectDir, 'migrations'))), {
    code: 'call_not_possible',
    message:
      /^there is no function sp_start_batch: .*; 2 migrations are pending .* npm run db:watch/,
  })
})
