import type { Pool } from 'pg'
import { test } from 'tap'
import { describeSchemas, loadRows } from '../../support/catalog.ts'
import { legacyId } from '../../support/legacy.ts'
import { loadMigrations, runMigrations } from '../../support/migrations.ts'
import { createOrigin, fillOrigin, origins } from '../../support/origins.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { createTestRole } from '../../support/roles.ts'

interface Refusal {
  readonly name: string
  /** Makes an adoptable database one that is refused. */
  readonly sql: string
  readonly code: string
  /** What message and detail have to say. */
  readonly says: RegExp
  /** What the hint has to say. */
  readonly hints: RegExp
}

const newest = origins['Flyway, client 0.2.2'] ?? []
const help = /Nothing was changed.*from-flyway\.md.*maintainers/

const refusals: readonly Refusal[] = [
  {
    name: 'an unknown table',
    sql: 'create table commandbus.rate_limit_config (resource_key text primary key)',
    code: '42P06',
    says: /Unknown: table commandbus\.rate_limit_config\./,
    hints: help,
  },
  {
    name: 'unknown columns',
    sql: `alter table commandbus.process add column deadline_at timestamptz;
          alter table commandbus.batch add column note text`,
    code: '42P06',
    says: /Unknown: column commandbus\.batch\.note, column commandbus\.process\.deadline_at\./,
    hints: help,
  },
  {
    name: 'an unknown type',
    sql: `create type commandbus.mood as enum ('good')`,
    code: '42P06',
    says: /Unknown: type commandbus\.mood\./,
    hints: help,
  },
  {
    name: 'a view by a name that this schema needs',
    sql: 'create view commandbus.batch_progress as select 1 as one',
    code: '42P06',
    says: /Unknown: view commandbus\.batch_progress\./,
    hints: help,
  },
  {
    name: 'a table is missing',
    sql: 'drop table commandbus.payload_archive',
    code: '42P06',
    says: /Found in commandbus: audit, batch, command, process, process_audit\. Missing: commandbus\.payload_archive\./,
    hints: help,
  },
  {
    name: 'a column is missing, and another has a different type',
    sql: `alter table commandbus.command drop column lease_expires_at;
          alter table commandbus.batch alter column total_count type bigint`,
    code: '42P06',
    says: /Not as expected: batch\.total_count \(bigint, expected int\), command\.lease_expires_at \(missing, expected timestamptz\)\./,
    hints: help,
  },
  {
    name: 'a table is a view',
    sql: `alter table commandbus.audit set schema public;
          create view commandbus.audit as select * from public.audit`,
    code: '42P06',
    says: /Not an ordinary table: commandbus\.audit\./,
    hints: help,
  },
  {
    name: 'old tables in public as well',
    sql: 'create table public.command_bus_audit (audit_id bigserial)',
    code: '42P06',
    says: /public has the names.*Found of an old command bus: public\.command_bus_audit\./,
    hints: /Nothing was changed.*rename/,
  },
  {
    name: 'old procedures in public as well',
    sql: `create function public.sp_start_batch(p_domain text, p_batch_id uuid) returns boolean
          language sql as 'select false'`,
    code: '42P06',
    says: /Found of an old command bus: public\.sp_start_batch\(text,uuid\)\./,
    hints: /Nothing was changed.*rename/,
  },
  {
    name: 'a view reads a column whose type changes',
    sql: `create view public.waiting as select process_id from commandbus.process where status = 'WAITING'`,
    code: '2BP01',
    says: /type has to change to text.*public\.waiting \(commandbus\.process\.status\)/,
    hints: /pg_get_viewdef/,
  },
  {
    name: 'a materialized view reads a column that moves',
    sql: 'create materialized view public.types as select distinct batch_type from commandbus.batch',
    code: '2BP01',
    says: /has to move.*Found: public\.types\./,
    hints: /recreate it/,
  },
  {
    name: 'a view calls the function whose result changes',
    sql: `create view public.stats as select * from commandbus.sp_refresh_batch_stats('payments', null)`,
    code: '2BP01',
    says: /view public\.stats/,
    hints: /recreate it/,
  },
  {
    name: 'a command has a status that does not exist',
    sql: `update commandbus.command set status = 'LOST' where command_id = '${legacyId('c', 2)}'`,
    code: '23514',
    says: new RegExp(`command ${legacyId('c', 2)} \\(LOST\\)`),
    hints: /commandbus\.batch and commandbus\.command/,
  },
  {
    name: 'a batch has a type that does not exist',
    sql: `update commandbus.batch set batch_type = 'BOTH' where batch_id = '${legacyId('b', 2)}'`,
    code: '23514',
    says: new RegExp(`batch ${legacyId('b', 2)} \\(IN_PROGRESS, BOTH`),
    hints: /commandbus\.batch and commandbus\.command/,
  },
  {
    name: 'two commands have the same id',
    sql: `drop index commandbus.uq_command_domain_cmdid;
          insert into commandbus.command select * from commandbus.command limit 1`,
    code: '23505',
    says: new RegExp(legacyId('c', 1)),
    hints: /^undefined$/,
  },
]

test('what is not an origin, or is in the way, is refused with what was found, and without harm', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, newest)
  await fillOrigin(pool, newest)
  const before = await describeAll(pool)
  const [migration = ''] = loadMigrations()
  const client = await pool.connect()
  t.teardown(async () => client.release())

  for (const { name, sql, code, says, hints } of refusals) {
    await client.query('begin')
    await client.query(sql)
    const error = await client.query(migration).catch((cause) => cause)
    await client.query('rollback')

    t.equal(error.code, code, name)
    t.match(`${error.message} ${error.detail}`, says, name)
    t.match(String(error.hint), hints, name)
    t.notMatch(
      String(error.hint),
      /\bdrop\b|\bdelete\b|\btruncate\b/i,
      `${name}: no hint costs data`,
    )
  }
  t.strictSame(await describeAll(pool), before)
})

test('an empty schema commandbus is refused', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create schema commandbus')

  await t.rejects(runMigrations(url), { code: '42P06', detail: /no table/, hint: help })
})

test('a database whose history was lost is refused, and its tables are named', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'migrated' })

  await t.rejects(runMigrations(url), {
    code: '42P06',
    detail: /table commandbus\.adoption_report, table commandbus\.batch_counter/,
    hint: help,
  })
})

test('a schema e2e that is none of the known ones is left alone with E2E_SCHEMA=off', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, [])
  await pool.query('create schema e2e; create table e2e.mine (id int)')

  await t.rejects(runMigrations(url), {
    code: '55000',
    detail: /table mine \(unknown\)/,
    hint: /E2E_SCHEMA=off/,
  })
  const [, second = ''] = loadMigrations('off')
  await pool.query(`begin; ${second}; commit`)

  const { rows } = await pool.query(
    `select relname from pg_class where relnamespace = 'e2e'::regnamespace and relkind = 'r'`,
  )
  t.strictSame(rows, [{ relname: 'mine' }])
})

test('tables in use are waited for, but not for long', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, newest)
  const client = await pool.connect()
  await client.query('begin; select from commandbus.process')
  const { rows } = await client.query('select pg_backend_pid() as pid')

  await t.rejects(runMigrations(url, { settings: `set lock_timeout = '50ms'` }), {
    code: '55P03',
    detail: new RegExp(`pid ${rows[0].pid}`),
    hint: /Stop the clients/,
  })

  await client.query('rollback')
  await runMigrations(url)
  client.release()
})

test('a failure at the end of either migration puts everything back', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, newest)
  await fillOrigin(pool, newest)
  await pool.query('update commandbus.batch set completed_count = -1')
  const before = await describeAll(pool)

  await t.rejects(runMigrations(url, { andThen: 'select 1 / 0' }), { code: '22012' })
  t.strictSame(await describeAll(pool), before)

  const [first = '', second = ''] = loadMigrations()
  await pool.query(`begin; ${first}; commit`)
  const between = await describeAll(pool)
  await t.rejects(pool.query(`begin; ${second}; select 1 / 0; commit`), { code: '22012' })
  t.strictSame(await describeAll(pool), between)
})

test('a role without the rights of the owners is told which grant is missing, then owns everything', async (t) => {
  const owner = await createTestRole(t)
  const migrator = await createTestRole(t)
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, newest)
  await fillOrigin(pool, newest)
  await giveTo(pool, owner)
  await pool.query(
    `grant create on database ${name} to ${migrator};
     grant usage on schema pgmq to ${migrator};
     grant select, insert on all tables in schema pgmq to ${migrator}`,
  )

  await t.rejects(runMigrations(url, { role: migrator, e2e: 'off' }), {
    code: '42501',
    message: new RegExp(`${migrator}.*${owner}`),
    detail: /commandbus\.process_audit of .*schema commandbus of /,
    hint: new RegExp(`grant ${owner} to ${migrator}`),
  })

  await pool.query(`grant ${owner} to ${migrator}`)
  const [first = ''] = loadMigrations()
  await pool.query(`begin; set local role ${migrator}; ${first}; commit`)
  await pool.query(`revoke ${owner} from ${migrator}`)
  const { rows } = await pool.query(
    `select distinct owner::regrole::text
       from (select relowner as owner from pg_class where relnamespace = 'commandbus'::regnamespace
              union all select proowner from pg_proc where pronamespace = 'commandbus'::regnamespace
              union all select nspowner from pg_namespace where nspname = 'commandbus') as object`,
  )
  t.strictSame(rows, [{ owner: migrator }])
})

/** Gives the schemas and all that is in them to a role. */
async function giveTo(pool: Pool, owner: string): Promise<void> {
  const { rows } = await pool.query(
    `select format('alter schema %I owner to ${owner}', nspname) as sql
       from pg_namespace where nspname in ('commandbus', 'e2e')
      union all
     select format('alter table %s owner to ${owner}', oid::regclass)
       from pg_class
      where relnamespace in ('commandbus'::regnamespace, 'e2e'::regnamespace) and relkind = 'r'
      union all
     select format('alter function %s owner to ${owner}', oid::regprocedure)
       from pg_proc where pronamespace = 'commandbus'::regnamespace`,
  )
  for (const { sql } of rows) await pool.query(sql)
}

/** Everything in the database that adoption could have touched. */
async function describeAll(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query(
    `select oid::regclass::text as name from pg_class
      where relnamespace in ('commandbus'::regnamespace, 'e2e'::regnamespace) and relkind = 'r'
      order by 1`,
  )
  const contents = await loadRows(pool, 'pg_sequences')
  for (const { name } of rows) contents.push(name, ...(await loadRows(pool, name)))
  return [...(await describeSchemas(pool, ['public', 'commandbus', 'e2e'])), ...contents]
}
