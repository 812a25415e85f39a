import type { Pool } from 'pg'
import { test } from 'tap'
import { createLegacySchema, fillLegacyTables, legacyId } from '../../support/legacy.ts'
import { runMigrations } from '../../support/migrations.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { createTestRole } from '../../support/roles.ts'

test("a migrating role without the old owner's rights is told which grant is missing", async (t) => {
  const owner = await createTestRole(t)
  const migrator = await createTestRole(t)
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOwnedBy(pool, owner)
  await pool.query(`grant create on database ${name} to ${migrator}`)

  await t.rejects(runMigrations(url, { role: migrator, e2e: 'off' }), {
    code: '42501',
    message: new RegExp(`${migrator}.*${owner}`),
    hint: new RegExp(`grant ${owner} to ${migrator}`),
  })

  await pool.query(`grant ${owner} to ${migrator}`)
  await runMigrations(url, { role: migrator, e2e: 'off' })
  await pool.query(`revoke ${owner} from ${migrator}`)
  const owners = await pool.query(
    `select distinct relowner::regrole::text as owner
       from pg_class where relnamespace = 'commandbus'::regnamespace`,
  )
  t.same(owners.rows, [{ owner: migrator }], 'tables, indexes and sequences are its own then')
})

test('old procedures that a third role owns are refused, with the role and the missing grant', async (t) => {
  const owner = await createTestRole(t)
  const migrator = await createTestRole(t)
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOwnedBy(pool, migrator)
  await pool.query(
    `grant create on database ${name} to ${migrator};
     alter function public.sp_start_batch(text, uuid) owner to ${owner}`,
  )

  await t.rejects(runMigrations(url, { role: migrator, e2e: 'off' }), {
    code: '42501',
    hint: new RegExp(`grant ${owner} to ${migrator}`),
  })
})

test('the former owner can still use its tables', async (t) => {
  const owner = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOwnedBy(pool, owner)
  await runMigrations(url)

  await runBatch(pool, owner)

  const e2e = await as(pool, owner, [
    `insert into e2e.test_command (command_id, behavior) values (gen_random_uuid(), '{}') returning id`,
  ])
  t.equal(e2e.length, 1)
})

test('a role keeps its table rights, and gets what else a client needs', async (t) => {
  const writer = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await pool.query(
    `grant select, insert, update on public.command_bus_batch, public.command_bus_command to ${writer};
     grant insert on public.command_bus_audit to ${writer};
     grant usage on sequence public.command_bus_audit_audit_id_seq to ${writer};
     grant select (key), update (value) on public.e2e_config to ${writer}`,
  )

  await runMigrations(url)

  await runBatch(pool, writer)
  const rights = await pool.query(
    `select has_table_privilege($1, 'commandbus.command', 'delete') as delete_commands,
            has_table_privilege($1, 'commandbus.audit', 'select') as read_audit,
            has_table_privilege($1, 'commandbus.payload_archive', 'select') as read_archive,
            has_function_privilege($1, 'commandbus.grant_client(text)', 'execute') as grant_others,
            has_column_privilege($1, 'e2e.config', 'value', 'update') as write_config,
            has_column_privilege($1, 'e2e.config', 'value', 'select') as read_config,
            has_schema_privilege($1, 'e2e', 'usage') as use_e2e`,
    [writer],
  )
  t.same(rights.rows, [
    {
      delete_commands: false,
      read_audit: false,
      read_archive: false,
      grant_others: false,
      write_config: true,
      read_config: false,
      use_e2e: true,
    },
  ])
})

test('a role that could only read still can, and no more', async (t) => {
  const reader = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await fillLegacyTables(pool)
  await pool.query(`grant select on public.command_bus_batch to ${reader} with grant option`)

  await runMigrations(url)

  t.equal((await as(pool, reader, ['select * from commandbus.batch_progress'])).length, 3)
  await t.rejects(as(pool, reader, ['delete from commandbus.batch_counter']), { code: '42501' })
  await t.rejects(as(pool, reader, ['update commandbus.batch set name = null']), { code: '42501' })
  await t.rejects(as(pool, reader, ['select * from commandbus.command']), { code: '42501' })
  const option = await pool.query(
    `select has_table_privilege($1, 'commandbus.batch', 'select with grant option') as kept`,
    [reader],
  )
  t.same(option.rows, [{ kept: true }])
})

test('rights of PUBLIC stay; without grants, no other role has rights', async (t) => {
  const stranger = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const closed = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await createLegacySchema(closed.pool)
  await pool.query('grant select on public.command_bus_audit to public')

  await runMigrations(url)
  await runMigrations(closed.url)

  t.same(await as(pool, stranger, ['select * from commandbus.audit']), [])
  await t.rejects(as(closed.pool, stranger, ['select * from commandbus.audit']), { code: '42501' })
})

/** The whole old schema in the hands of one role, as where the application made it for itself. */
async function createOwnedBy(pool: Pool, owner: string): Promise<void> {
  await createLegacySchema(pool)
  await fillLegacyTables(pool)
  const { rows } = await pool.query(
    `select format('alter table %s owner to ${owner}', oid::regclass) as sql
       from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
      union all
     select format('alter function %s owner to ${owner}', oid::regprocedure)
       from pg_proc where pronamespace = 'public'::regnamespace`,
  )
  for (const { sql } of rows) await pool.query(sql)
}

/** Runs statements as a role; the rows of the last. */
async function as(pool: Pool, role: string, statements: readonly string[]): Promise<unknown[]> {
  const client = await pool.connect()
  try {
    await client.query(`begin; set local role ${role}`)
    let rows: unknown[] = []
    for (const statement of statements) rows = (await client.query(statement)).rows
    await client.query('commit')
    return rows
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

/** A client's whole way with a batch so large that it is counted in several rows. */
async function runBatch(pool: Pool, role: string): Promise<void> {
  const batch = legacyId('b', 77)
  const command = legacyId('c', 7701)
  await as(pool, role, [
    `insert into commandbus.batch (domain, batch_id, total_count) values ('payments', '${batch}', 1001)`,
    `insert into commandbus.command (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
     select 'payments', 'q', ('cccccccc-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'T', 'PENDING', 3, '${batch}'
       from generate_series(7701, 8701) as n`,
    `select * from commandbus.sp_receive_command('payments', '${command}')`,
    `select commandbus.sp_finish_command('payments', '${command}', 'COMPLETED', 'COMPLETED')`,
    `insert into commandbus.audit (domain, command_id, event_type) values ('payments', '${command}', 'MINE')`,
  ])
}
