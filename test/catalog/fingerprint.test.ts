import { test } from 'tap'
import { OBJECTS_FINGERPRINT_SQL, OBJECTS_VERSION_SQL } from '../../src/catalog/fingerprint.ts'
import { createTestDatabase } from '../support/postgres.ts'

const SCHEMA = `
  create schema app;
  create table app.thing (id int primary key);
  create sequence app.number;
  create view app.things as select id from app.thing;
  create type app.mood as enum ('good');
  create domain app.short as text;
  create function app.one() returns int language sql as 'select 1'`

/** One for each catalogue that counts. */
const CHANGES = [
  'create table app.other ()',
  'drop table app.other',
  'alter table app.thing set (fillfactor = 90)',
  'create index on app.thing (id)',
  'alter index app.thing_id_idx rename to thing_id',
  'alter sequence app.number increment 2',
  'alter view app.things rename to all_things',
  `alter type app.mood add value 'bad'`,
  `create type app.other as enum ()`,
  'alter domain app.short set not null',
  'alter domain app.short add check (length(value) < 9)',
  'create type app.span as range (subtype = int4)',
  `create or replace function app.one() returns int language sql as 'select 2'`,
  'drop function app.one()',
  'alter schema app rename to renamed',
  'create schema app',
  'drop extension plpgsql',
  'create extension plpgsql',
]

/** What is written all the time, and changes no definition. */
const OTHER = [
  'insert into renamed.thing select generate_series(1, 1000)',
  'select nextval($$renamed.number$$)',
  'analyze renamed.thing',
  'vacuum renamed.thing',
  'delete from renamed.thing',
  'vacuum (freeze) pg_class',
]

test('the version of the objects changes whenever their fingerprint does, and not by itself', async (t) => {
  const { open } = await createTestDatabase(t, { from: 'empty' })
  const [client, other] = [await open('reader'), await open('writer')]
  t.teardown(() => Promise.all([client.end(), other.end()]))
  await other.query(SCHEMA)
  const read = async () => {
    const { rows } = await client.query<{ version: string; fingerprint: string }>(
      `select (${OBJECTS_VERSION_SQL})::text as version, (${OBJECTS_FINGERPRINT_SQL})::text as fingerprint`,
    )
    return rows[0] as { version: string; fingerprint: string }
  }

  let before = await read()
  for (const statement of CHANGES) {
    await other.query(statement)
    const after = await read()
    t.not(after.fingerprint, before.fingerprint, `fingerprint: ${statement}`)
    t.not(after.version, before.version, `version: ${statement}`)
    before = after
  }
  for (const statement of OTHER) {
    await other.query(statement)
    t.same(await read(), before, `nothing: ${statement}`)
  }
  await other.query('create temporary table temporary_one (id int)')
  const { version, fingerprint } = await read()
  t.equal(fingerprint, before.fingerprint, 'a temporary table is no object that counts')
  t.not(version, before.version, 'and changes the version')
})
