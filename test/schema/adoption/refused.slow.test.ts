import type { Pool } from 'pg'
import { test } from 'tap'
import { describeSchemas, loadRows } from '../../support/catalog.ts'
import { createLegacySchema, fillLegacyTables, legacyId } from '../../support/legacy.ts'
import { loadMigrations, runMigrations } from '../../support/migrations.ts'
import { createTestDatabase } from '../../support/postgres.ts'

interface Refusal {
  readonly name: string
  /** What makes the old database one that cannot be adopted. */
  readonly sql: string
  readonly code: string
  /** What the error has to name. */
  readonly names: RegExp
}

const refusals: readonly Refusal[] = [
  {
    name: 'a part of the old tables is missing',
    sql: 'drop table public.command_bus_audit',
    code: '55000',
    names: /Found: .*command_bus_batch.* Missing: public\.command_bus_audit/,
  },
  {
    name: 'commands name batches, and their table is missing',
    sql: 'drop table public.command_bus_batch',
    code: '55000',
    names: /public\.command_bus_batch/,
  },
  {
    name: 'one of the tables has been moved to commandbus',
    sql: `create schema commandbus; alter table public.command_bus_batch set schema commandbus;
          alter table commandbus.command_bus_batch rename to batch`,
    code: '42P06',
    names: /commandbus: batch\..*command_bus_command/,
  },
  {
    name: 'an old table is a view',
    sql: `alter table public.command_bus_audit rename to audit_of_mine;
          create view public.command_bus_audit as select * from public.audit_of_mine`,
    code: '42809',
    names: /command_bus_audit/,
  },
  {
    name: 'a column has another type',
    sql: 'alter table public.command_bus_payload_archive alter column payload_json type json',
    code: '42804',
    names: /payload_archive\.payload_json \(json/,
  },
  {
    name: 'a column is missing',
    sql: 'alter table public.command_bus_batch drop column total_count',
    code: '42804',
    names: /batch\.total_count \(missing/,
  },
  {
    name: 'a command has a status that does not exist',
    sql: `update public.command_bus_command set status = 'LOST' where command_id = '${legacyId('c', 2)}'`,
    code: '23514',
    names: new RegExp(`command ${legacyId('c', 2)} \\(LOST\\)`),
  },
  {
    name: 'a batch has a status that does not exist',
    sql: `update public.command_bus_batch set status = 'DONE' where batch_id = '${legacyId('b', 2)}'`,
    code: '23514',
    names: new RegExp(`batch ${legacyId('b', 2)} \\(DONE`),
  },
  {
    name: 'two commands have the same id',
    sql: `drop index public.uq_command_bus_command_domain_cmdid;
          insert into public.command_bus_command select * from public.command_bus_command limit 1`,
    code: '23505',
    names: new RegExp(legacyId('c', 1)),
  },
  {
    name: 'something depends on an old procedure',
    sql: `create view public.started as select public.sp_start_batch('payments', null) as started`,
    code: '2BP01',
    names: /view public\.started/,
  },
]

test('what cannot be adopted whole is refused, with what was found', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await fillLegacyTables(pool)
  const [migration = ''] = loadMigrations()
  const client = await pool.connect()
  t.teardown(async () => client.release())

  for (const { name, sql, code, names } of refusals) {
    await client.query('begin')
    await client.query(sql)
    const error = await client.query(migration).catch((cause) => cause)
    await client.query('rollback')

    t.equal(error.code, code, name)
    t.match(`${error.message} ${error.detail}`, names, name)
    t.notMatch(String(error.hint), /\bdrop\b|\bdelete\b/i, `${name}: no hint costs data`)
  }
})

test("another application's schema commandbus is refused, and stays", async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create schema commandbus; create table commandbus.command (id int)')

  await t.rejects(runMigrations(url), { code: '42P06', detail: /commandbus: command\./ })

  const { rows } = await pool.query(
    `select attname from pg_attribute where attrelid = 'commandbus.command'::regclass and attnum > 0`,
  )
  t.same(rows, [{ attname: 'id' }])
})

test('a schema e2e of another kind is refused by migration 2, which leaves migration 1 applied', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await pool.query('create schema e2e; create table e2e.config (key text)')

  await t.rejects(runMigrations(url), { code: '55000', message: /e2e_config/ })

  const { rows } = await pool.query(
    `select to_regclass('public.e2e_config') is not null as old, to_regclass('commandbus.batch') is not null as new`,
  )
  t.same(rows, [{ old: true, new: true }], 'migration 1 stays')
})

test('adoption waits for open transactions, but not for long', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  const client = await pool.connect()
  await client.query('begin; select from public.command_bus_batch')
  const { rows } = await client.query('select pg_backend_pid() as pid')

  await t.rejects(runMigrations(url, { settings: `set lock_timeout = '50ms'` }), {
    code: '55P03',
    detail: new RegExp(`pid ${rows[0].pid}`),
  })

  await client.query('rollback')
  client.release()
  await runMigrations(url)
})

test('a failure at the end rolls everything back', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await fillLegacyTables(pool)
  // A wrong counter, so that there is a changed row to roll back too.
  await pool.query('update public.command_bus_batch set completed_count = 9')
  const before = await describeAll(pool)

  await t.rejects(runMigrations(url, { andThen: 'select 1 / 0' }), { code: '22012' })

  t.same(await describeAll(pool), before)
})

test('a refused database is adopted once the cause is fixed', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await fillLegacyTables(pool)
  await pool.query(`update public.command_bus_command set status = 'LOST' where status = 'FAILED'`)
  await t.rejects(runMigrations(url), { code: '23514' })

  await pool.query(`update public.command_bus_command set status = 'FAILED' where status = 'LOST'`)
  await runMigrations(url)

  const { rows } = await pool.query('select count(*)::int as n from commandbus.command')
  t.same(rows, [{ n: 16 }])
})

/** Everything in the database that adoption could have touched. */
async function describeAll(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query(
    `select oid::regclass::text as name from pg_class
      where relnamespace = any (array[to_regnamespace('public'), to_regnamespace('commandbus')]::oid[])
        and relkind = 'r'
      order by 1`,
  )
  const contents = await loadRows(pool, 'pg_sequences')
  for (const { name } of rows) contents.push(name, ...(await loadRows(pool, name)))
  return [...(await describeSchemas(pool, ['public', 'commandbus', 'e2e'])), ...contents]
}
