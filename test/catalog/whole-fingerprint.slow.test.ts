import { test } from 'tap'
import { readWholeFingerprint } from '../../src/catalog/whole-fingerprint.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'

/** What changes the objects of a database; `$ROLE` is a role. */
const OBJECTS: readonly string[] = [
  `comment on column e2e.config.key is 'Another text.'`,
  'grant select (key) on e2e.config to $ROLE',
  'alter default privileges in schema e2e grant select on tables to $ROLE',
  'alter table e2e.config add column note text',
  'alter table e2e.config alter column value set storage external',
  'alter table e2e.config set (fillfactor = 50)',
  'alter table e2e.config replica identity full',
  'alter sequence e2e.test_command_id_seq increment 2',
  'alter function commandbus.sp_tsq_retry(text, uuid) cost 1000',
  'alter index e2e.config_pkey rename to config_key',
  'alter trigger mark_inserted on commandbus.command rename to mark_new',
  'create publication everything for all tables',
  'create statistics e2e.pairs on id, attempts from e2e.test_command',
  'create text search configuration e2e.plain (copy = simple)',
  'create collation e2e.numeric (provider = icu, locale = "en-u-kn-true")',
  'create operator e2e.=== (leftarg = text, rightarg = text, function = texteq)',
  'create cast (e2e.config as jsonb) with inout',
  'create foreign data wrapper nothing',
  'create extension file_fdw',
  `create function e2e.note() returns event_trigger language plpgsql as 'begin end';
   create event trigger note on ddl_command_end execute function e2e.note()`,
  `select lo_from_bytea(0, 'text')`,
  'revoke execute on function pg_catalog.pg_sleep(float8) from public',
]

/** What changes the database itself; `$DATABASE` is its name. */
const DATABASE: readonly string[] = [
  `alter database $DATABASE set work_mem = '8MB'`,
  `alter role $ROLE in database $DATABASE set work_mem = '9MB'`,
  'alter database $DATABASE connection limit 90',
  'revoke temporary on database $DATABASE from public',
  `comment on database $DATABASE is 'A note.'`,
]

/** What changes neither. */
const ROWS: readonly string[] = [
  `insert into e2e.config values ('x', '{}'); delete from e2e.config`,
  `select nextval('e2e.test_command_id_seq') from generate_series(1, 99)`,
  'truncate commandbus.batch cascade',
  'analyze',
  'vacuum full e2e.config',
  'reindex table commandbus.command',
  'create table e2e.short_lived (id int primary key); drop table e2e.short_lived',
]

test('copies of a database have the same fingerprint, until something but rows changes', async (t) => {
  const role = await createTestRole(t)
  const [original, copy] = await Promise.all([
    createTestDatabase(t, { from: 'migrated' }),
    createTestDatabase(t, { from: 'migrated' }),
  ])
  const session = await copy.open('test')
  t.teardown(() => session.end())
  const reader = await original.open('test')
  let last = await readWholeFingerprint(reader)
  await reader.end()
  t.strictSame(await readWholeFingerprint(session), last, 'a copy has the same')
  t.match(last.objects, /^-?\d+$/)

  for (const [statements, changed] of [
    [ROWS, []],
    [OBJECTS, ['objects']],
    [DATABASE, ['database']],
  ] as const) {
    for (const statement of statements) {
      for (const one of statement.startsWith('create function')
        ? [statement]
        : statement.split(';')) {
        await copy.pool.query(one.replaceAll('$ROLE', role).replaceAll('$DATABASE', copy.name))
      }
      const found = await readWholeFingerprint(session)
      const parts = (['objects', 'database'] as const).filter((part) => found[part] !== last[part])
      t.strictSame(parts, changed, statement)
      last = found
    }
  }
  await copy.pool.query(
    `drop owned by ${role}; alter role ${role} in database ${copy.name} reset all`,
  )
})

test('a role without rights reads it, and the contents of large objects count', async (t) => {
  const role = await createTestRole(t)
  const { pool, name, open } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`grant create on database ${name} to ${role}`)
  const session = await open('test')
  t.teardown(() => session.end())
  await session.query(`set role ${role}`)
  const { rows } = await session.query(`select lo_from_bytea(0, 'one') as id`)
  const before = await readWholeFingerprint(session)
  t.strictSame(await readWholeFingerprint(session), before)

  await session.query(`select lo_put($1, 0, 'two')`, [rows[0].id])
  t.not((await readWholeFingerprint(session)).objects, before.objects)

  await pool.query(`drop owned by ${role}`)
})
