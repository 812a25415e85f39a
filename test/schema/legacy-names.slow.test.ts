import { test } from 'tap'
import { createLegacySchema, fillLegacyTables, legacyId } from '../support/legacy.ts'
import {
  GRANTED_LEGACY_RIGHTS,
  installLegacyNames,
  LEGACY_FUNCTIONS,
  LEGACY_VIEWS,
  legacyNames,
  readLegacyRights,
} from '../support/legacy-names.ts'
import { runMigrations } from '../support/migrations.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'

test('the views accept what old clients did with the tables', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  await installLegacyNames(pool)
  const query = async (sql: string, values: unknown[] = []) => (await pool.query(sql, values)).rows

  t.same(
    await query(
      `insert into command_bus_batch (domain, batch_id, total_count) values ('payments', $1, 1)
       returning status, completed_count, created_at is not null as dated`,
      [legacyId('b', 1)],
    ),
    [{ status: 'PENDING', completed_count: 0, dated: true }],
    'insert with defaults, returning',
  )
  t.same(
    await query(
      `insert into command_bus_command (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
       values ('payments', 'payments__commands', $1, 'Debit', 'PENDING', 3, $2)
       on conflict (domain, command_id) do nothing returning attempts, reply_queue`,
      [legacyId('c', 1), legacyId('b', 1)],
    ),
    [{ attempts: 0, reply_queue: '' }],
  )
  t.same(
    await query(
      `insert into command_bus_command values
         ('payments', 'q', 7, $1, 'Debit', 'PENDING', 0, 3, null, null, null, null, now(), now(), '', null, $2)
       on conflict (domain, command_id) do update set msg_id = excluded.msg_id
       returning msg_id, queue_name`,
      [legacyId('c', 1), legacyId('b', 1)],
    ),
    [{ msg_id: '7', queue_name: 'payments__commands' }],
    'insert without a list of columns, on conflict with the columns',
  )
  t.same(
    await query(`select * from command_bus_command where command_id = $1 for update skip locked`, [
      legacyId('c', 1),
    ]).then((rows) => Object.keys(rows[0]).length),
    17,
    'a locked row, with the old columns only',
  )
  t.same(
    await query(`select attempts, batch_id from sp_receive_command('payments', $1)`, [
      legacyId('c', 1),
    ]),
    [{ attempts: 1, batch_id: legacyId('b', 1) }],
  )
  t.same(
    await query(
      `select sp_finish_command(p_domain => 'payments', p_command_id => $1, p_status => 'COMPLETED',
         p_event_type => 'COMPLETED', p_batch_id => $2) as complete`,
      [legacyId('c', 1), legacyId('b', 1)],
    ),
    [{ complete: true }],
    'the functions are the new ones',
  )
  const [first] = await query('select max(audit_id)::int as id from command_bus_audit')
  t.same(
    await query(
      `insert into command_bus_audit (domain, command_id, event_type) values ('payments', $1, 'MINE')
       returning audit_id::int as id`,
      [legacyId('c', 1)],
    ),
    [{ id: first.id + 1 }],
    'audit ids go on',
  )
  t.same(await query(`update command_bus_batch set name = 'new' returning name, completed_count`), [
    { name: 'new', completed_count: 1 },
  ])
  t.same(await query('delete from command_bus_audit returning domain').then((r) => r.length), 5)
  t.same(
    await query(
      `insert into command_bus_payload_archive (domain, command_id, payload_json) values ('payments', $1, '{}')
       on conflict (domain, command_id) do update set payload_json = '[]' returning payload_json`,
      [legacyId('c', 1)],
    ),
    [{ payload_json: {} }],
  )
  t.same(
    await query(
      `insert into e2e_config (key, value) values ('worker', '{}')
       on conflict (key) do update set value = excluded.value returning value`,
    ),
    [{ value: {} }],
  )
  t.same(
    await query(
      `insert into test_command (command_id) values ($1)
       on conflict (command_id) do nothing returning id, behavior`,
      [legacyId('c', 1)],
    ),
    [{ id: 1, behavior: { type: 'success' } }],
  )
})

test('the old names reject what the tables reject', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  await installLegacyNames(pool)
  await pool.query(
    `insert into command_bus_command (domain, queue_name, command_id, command_type, status, max_attempts)
     values ('payments', 'q', $1, 'Debit', 'COMPLETED', 3)`,
    [legacyId('c', 1)],
  )

  await t.rejects(pool.query(`update command_bus_command set status = 'PENDING'`), {
    code: '55000',
  })
  await t.rejects(
    pool.query(`insert into command_bus_batch (domain, batch_id, status) values ('a', $1, 'ODD')`, [
      legacyId('b', 1),
    ]),
    { code: '23514' },
  )
})

test('a failure counts for a batch of an old client, and is final', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  await installLegacyNames(pool)
  await pool.query(
    `insert into command_bus_batch (domain, batch_id, total_count) values ('payments', $1, 1)`,
    [legacyId('b', 1)],
  )
  await pool.query(
    `insert into command_bus_command
       (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
     values ('payments', 'q', $1, 'Debit', 'PENDING', 3, $2)`,
    [legacyId('c', 1), legacyId('b', 1)],
  )

  const { rows } = await pool.query(
    `select public.sp_finish_command('payments', $1, 'FAILED', 'BUSINESS_RULE_FAILED') as completed`,
    [legacyId('c', 1)],
  )

  t.same(rows, [{ completed: true }])
  t.same((await pool.query('select status from command_bus_batch')).rows, [
    { status: 'COMPLETED_WITH_FAILURES' },
  ])
  await t.rejects(pool.query(`update command_bus_command set status = 'PENDING'`), {
    code: '55000',
  })
})

test('without the schema e2e, four views are installed', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await runMigrations(url, { e2e: 'off' })

  const names = await installLegacyNames(pool)

  const views = LEGACY_VIEWS.filter((name) => /command_bus/.test(name))
  t.same(names, legacyNames([...views, ...LEGACY_FUNCTIONS]))
})

test('the old names get the grants of the objects behind them, and lose revoked ones', async (t) => {
  const writer = await createTestRole(t)
  const reader = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await pool.query(
    `grant select, insert, update on public.command_bus_batch, public.command_bus_command to ${writer};
     grant insert on public.command_bus_audit to ${writer};
     grant select (domain, status) on public.command_bus_batch to ${reader};
     grant select on public.e2e_config to ${reader} with grant option`,
  )
  await runMigrations(url)
  await installLegacyNames(pool)
  const rights = () => readLegacyRights(pool, writer, reader)
  const given = GRANTED_LEGACY_RIGHTS
  t.same(await rights(), given)

  await pool.query(`revoke insert on commandbus.command from ${writer}`)
  await installLegacyNames(pool)

  t.same(await rights(), { ...given, writes: false })
})

test('a client with only its old rights works with the old names', async (t) => {
  const client = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await fillLegacyTables(pool)
  await pool.query(
    `grant select, insert, update, delete on all tables in schema public to ${client};
     grant usage on all sequences in schema public to ${client}`,
  )
  await runMigrations(url)
  await installLegacyNames(pool)
  const session = await pool.connect()
  t.teardown(async () => session.release())
  await session.query(`set role ${client}`)

  const received = await session.query(`select status from sp_receive_command('payments', $1)`, [
    legacyId('c', 101),
  ])
  const finished = []
  for (const n of [101, 102]) {
    const { rows } = await session.query(
      `select sp_finish_command('payments', $1, 'COMPLETED', 'COMPLETED', null, null, null, null, $2) as complete`,
      [legacyId('c', n), legacyId('b', 1)],
    )
    finished.push(rows[0].complete)
  }

  t.same(received.rows, [{ status: 'IN_PROGRESS' }])
  t.same(finished, [false, true])
  const audit = await session.query(
    'select count(*)::int as n from command_bus_audit where ts > $1',
    ['2026-01-01'],
  )
  t.ok(audit.rows[0].n > 0)
})

test('no search path changes what an old name does', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  await installLegacyNames(pool)
  const { rows } = await pool.query(
    `select proname from pg_proc
      where pronamespace = 'public'::regnamespace
        and (prosecdef or proconfig is distinct from '{"search_path=pg_catalog, pg_temp"}')`,
  )
  t.same(rows, [])
})
