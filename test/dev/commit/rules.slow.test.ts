// What each rule refuses, and what it does not, in a small schema of its own.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Test, test } from 'tap'
import { createMigrationsFolder } from '../../support/migrations-folder.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { type Refusal, tryChange } from './project.ts'

/** A function that breaks no rule. */
const define = (
  args: string,
  types: string,
  { result = 'text', body = "select 'a'::text" } = {},
) => `
create or replace function app.f(${args}) returns ${result} language sql
set search_path = pg_catalog, pg_temp as $$ ${body} $$;
comment on function app.f(${types}) is 'A function.';
revoke all on function app.f(${types}) from public;
`
const dropF = 'drop function if exists app.f(text, int);'

const BASE = `
create schema app;
comment on schema app is 'An application.';
create table app.item (id int primary key, name text);
comment on table app.item is 'Items.';
comment on column app.item.id is 'Its key.';
comment on column app.item.name is 'Its name.';
${define('p_a text, p_b int default 1', 'text, int')}
${define('p_a uuid', 'uuid').replaceAll('app.f', 'app.k')}
${define('"order" text', 'text').replaceAll('app.f', 'app.r')}
create table app.part (id int, item int);
comment on table app.part is 'Parts.';
comment on column app.part.id is 'Its key.';
comment on column app.part.item is 'Its item.';
`

const plpgsql = (body: string) => `
create or replace function app.g() returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$${body}$$;
comment on function app.g() is 'A procedure.';
revoke all on function app.g() from public;
`

/** What a change is, the rules that refuse it, and how the refusal begins. */
const CASES: Readonly<Record<string, [sql: string, rules: readonly string[], text?: RegExp]>> = {
  'a body that changes': [
    define('p_a text, p_b int default 1', 'text, int', { body: "select 'b'" }),
    [],
  ],
  'an argument that is added with a default, in place of the old function': [
    `-- squawk-ignore-file\n${dropF}${define('p_a text, p_b int default 1, p_c int default 2', 'text, int, int')}`,
    [],
  ],
  'an argument that is added with a default, beside the old function': [
    define('p_a text, p_b int default 1, p_c int default 2', 'text, int, int'),
    ['signature-changed'],
    /app\.f\(text, integer\) cannot be called as before: app\.f\(text, integer\) worked before; now function app\.f\(text, integer\) is not unique \(signature/,
  ],
  'an argument that is added without a default': [
    `${dropF}${define('p_a text, p_b int, p_c int', 'text, int, int')}`,
    ['signature-changed'],
    /app\.f\(text, integer\) is gone; now there is app\.f\(text, integer, integer\): app\.f\(text, integer\) worked before/,
  ],
  'arguments in another order': [
    `${dropF}${define('p_b int, p_a text', 'int, text')}`,
    ['signature-changed'],
  ],
  'an argument with another name': [
    `${dropF}${define('p_x text, p_b int default 1', 'text, int')}`,
    ['recreated', 'signature-changed'],
    /app\.f\(p_a => text, p_b => integer\) worked before; now function app\.f\(p_a => text, p_b => integer\) does not exist/,
  ],
  'another name for an argument that is named by a reserved word': [
    `drop function if exists app.r(text);${define('p_order text', 'text').replaceAll('app.f', 'app.r')}`,
    ['recreated', 'signature-changed'],
    /app\.r\(order => text\) worked before; now function app\.r\(order => text\) does not exist/,
  ],
  'an overload for another type, of which a driver does not know which is meant': [
    define('p_a jsonb', 'jsonb').replaceAll('app.f', 'app.k'),
    ['signature-changed'],
    /app\.k\(\$\) worked before; now function app\.k\(unknown\) is not unique/,
  ],
  'another default': [
    define('p_a text, p_b int default 2', 'text, int'),
    ['signature-changed'],
    /the default of p_b in app\.f\(text, integer\) was 1, and is 2 now/,
  ],
  'another result': [
    `${dropF}${define('p_a text, p_b int default 1', 'text, int', { result: 'int', body: 'select 1' })}`,
    ['recreated', 'signature-changed'],
    /app\.f\(text, integer\) returned text, and returns integer now/,
  ],
  'a statement that fails when it is run again': [
    "create type app.mood as enum ('good'); comment on type app.mood is 'A mood.';",
    ['not-repeatable'],
    /current\.sql:1: this ran once and fails when it is run again: type "mood" already exists/,
  ],
  'rows that are inserted again': [
    'insert into app.part values (1, 1);',
    ['not-repeatable'],
    /current\.sql:1: run again, this leaves 1 more row in app\.part \(not-repeatable\)\n {2}1 \| insert into app\.part/,
  ],
  'rows that are inserted once': [
    "insert into app.item values (1, 'a') on conflict do nothing;",
    [],
  ],
  'a constraint that gets another name each time': [
    'alter table app.part add check (id > 0) not valid;',
    ['not-repeatable'],
    /run again, this changes the constraint app\.part\./,
  ],
  'a table that is rewritten': [
    'alter table app.part alter column id type bigint;',
    ['long-lock', 'squawk/changing-column-type'],
    /this rewrites the table app\.part,/,
  ],
  'a foreign key that is checked': [
    `alter table app.part drop constraint if exists part_item_fkey;
-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
alter table app.part add constraint part_item_fkey foreign key (item) references app.item;`,
    ['long-lock'],
    /nothing can write to app\.part while all of its rows are checked for app\.part\.part_item_fkey/,
  ],
  'a foreign key that is not checked yet': [
    `alter table app.part drop constraint if exists part_item_fkey;
alter table app.part add constraint part_item_fkey foreign key (item) references app.item not valid;`,
    [],
  ],
  'an index that is built concurrently': [
    '--! no-transaction\ncreate index concurrently if not exists part_item_idx on app.part (item);',
    [],
  ],
  'names without a schema': [
    `set local search_path = app;
comment on table item is 'Items.';
alter table part add column if not exists f text;
comment on column app.part.f is 'F.';
create or replace view app.v as with own as (select id from item) select id from own;
comment on view app.v is 'V.';`,
    ['unqualified-name'],
    /current\.sql:2: the relation item has no schema.*\n.*\n.*\^\n {2}write app\.item/,
  ],
  'names without a schema in PL/pgSQL': [
    plpgsql(`
declare v_count int;
begin
  v_count := f('a');
  perform count(*) from app.item;
  create temporary table mine (id int) on commit drop;
  insert into mine select id from item;
end`),
    ['unqualified-name'],
    /current\.sql:6: the function f in app\.g has no schema.*\n {2}6 \| .*\n {19}\^\n(?:.*\n)*migrations\/current\.sql:9: the relation item in/,
  ],
  'a role that stays': ['set role pg_monitor;', ['session-state'], /leaves .*the role pg_monitor/],
  'a temporary table that stays': [
    'create temporary table if not exists mine (id bigint);',
    ['session-state'],
    /leaves the temporary table mine in its session/,
  ],
  'a function that everyone may execute, without search_path and comment': [
    "create or replace function app.h() returns int language sql as 'select 1';",
    ['function-search-path', 'function-grants', 'missing-comment'],
  ],
}

test('the rules', async (t) => {
  for (const [what, [sql, rules, text]] of Object.entries(CASES)) {
    await t.test(what, async (t) => {
      const refusal = await refuse(t, sql)
      t.strictSame([...refusal.rules].sort(), [...rules].sort(), refusal.text)
      if (text !== undefined) t.match(refusal.text, text)
    })
  }
})

test('a statement that fails has its place in the fixture, with a caret', async (t) => {
  const refusal = await refuse(t, '--!include app/wrong.sql\n', {
    'app/wrong.sql': '\n-- A comment.\nselect\n  nothing;\n',
  })

  t.equal(refusal.code, 'migration_command_failed')
  t.match(
    refusal.text,
    /^migrations\/fixtures\/app\/wrong\.sql:4: column "nothing" does not exist \(42703\)\n {2}4 \| {3}nothing;\n {8}\^\n/,
  )
})

test('a new fixture that is not included is refused', async (t) => {
  const refusal = await refuse(t, 'select 1;', { 'app/new.sql': 'select 2;\n' })

  t.strictSame(refusal.rules, ['fixture-not-included'])
  t.match(refusal.text, /^migrations\/fixtures\/app\/new\.sql:1: this fixture is new, and current/)
})

test('a fixture that is gone or empty is refused while what it made is there', async (t) => {
  const made = { 'app/f.sql': define('p_a text, p_b int default 1', 'text, int') }
  const drop = 'drop function if exists app.f(text, int);'
  const emptied = await refuse(t, 'select 1;', { 'app/f.sql': '' }, made)
  t.strictSame(emptied.rules, ['fixture-gone'])
  t.match(emptied.text, /f\.sql is empty, but the function app\.f\(text, integer\) is still there/)
  const deleted = await refuse(t, 'select 1;', {}, made)
  t.strictSame(deleted.rules, ['fixture-gone'])
  t.match(deleted.text, /f\.sql is gone, but .*\n {2}add "drop function if exists app\.f\(text, in/)

  t.strictSame((await refuse(t, drop, {}, made)).rules, ['signature-changed'], 'it is dropped')
  const renamed = { 'app/g.sql': made['app/f.sql'] }
  t.strictSame((await refuse(t, '--!include app/g.sql', renamed, made)).rules, [], 'renamed')
})

async function refuse(
  t: Test,
  sql: string,
  fixtures: Record<string, string> = {},
  /** Fixtures that a committed migration included. */
  included: Record<string, string> = {},
): Promise<Refusal> {
  const sections = Object.entries(included).map(
    ([path, text]) => `--! Included ${path}\n${text.trim()}\n--! EndIncluded ${path}\n`,
  )
  const migrationsDir = createMigrationsFolder(t, [BASE, ...sections])
  writeFileSync(join(migrationsDir, 'current.sql'), sql)
  for (const [path, text] of Object.entries(fixtures)) {
    mkdirSync(dirname(join(migrationsDir, 'fixtures', path)), { recursive: true })
    writeFileSync(join(migrationsDir, 'fixtures', path), text)
  }
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(BASE)
  return tryChange(migrationsDir, url)
}
