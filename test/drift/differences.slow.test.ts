import { test } from 'tap'
import { createTestRole } from '../support/roles.ts'
import { createRecorded } from './recorded.ts'

/** One object of each kind, in the schema app. $ROLE had some privileges when the schema was recorded. */
const SCHEMA = `
  create schema app;
  grant usage on schema app to $ROLE;
  create domain app.code as text check (value <> '');
  create type app.mood as enum ('good', 'bad');
  create type app.pair as (one int, two text);
  create table app.parent (id int primary key, name text not null default 'x', note text,
    constraint is_named check (name <> ''));
  create table app.child (parent_id int references app.parent, amount int);
  create index child_amount on app.child (amount);
  create view app.names as select name from app.parent;
  create materialized view app.amounts as select sum(amount) as total from app.child;
  create sequence app.numbers;
  create function app.add(a int, b int) returns int language plpgsql set work_mem = '8MB' as $$
begin
  -- Adds.
  return a + b;
end
$$;
  create procedure app.run() language plpgsql as 'begin end';
  create aggregate app.total(int) (sfunc = int4pl, stype = int);
  create function app.tg() returns trigger language plpgsql as 'begin return new; end';
  create trigger touch before update on app.parent for each row execute function app.tg();
  create rule keep as on delete to app.child do instead nothing;
  create policy own on app.child for select using (amount > 0);
  create table app.log (at date not null) partition by range (at);
  create table app.log_2026 partition of app.log for values from ('2026-01-01') to ('2027-01-01');
  create statistics app.stats on parent_id, amount from app.child;
  create publication news for table app.child;
  alter default privileges in schema app grant select on tables to $ROLE;
  grant select on app.parent to $ROLE`

/** A change by hand, in a transaction that is rolled back, and the differences that it makes. */
const CASES: readonly (readonly [sql: string, ...expected: (string | RegExp)[]])[] = [
  // Schemas.
  [
    'alter schema app owner to $ROLE',
    'changed schema app: owner: $ROLE, was postgres; privileges of $ROLE: none, was usage',
  ],
  [
    'grant create on schema app to public',
    'changed schema app: privileges of PUBLIC: create, was none',
  ],
  [
    'revoke usage on schema app from $ROLE',
    'changed schema app: privileges of $ROLE: none, was usage',
  ],
  [
    'drop schema app cascade',
    'dropped schema app: owner postgres',
    'changed publication news: tables: none, was app.child',
  ],
  [
    'alter schema app rename to other',
    'renamed schema app: now other',
    'changed publication news: tables: other.child, was app.child',
  ],
  // Tables.
  ['create table app.extra (a int, b text)', 'added table app.extra: columns a, b'],
  [
    'drop table app.log',
    'dropped table app.log: partition by RANGE (at)',
    /^dropped partition app.log_2026/,
  ],
  [
    'alter table app.log rename to journal',
    'renamed table app.log: now app.journal',
    /^changed partition app.log_2026: definition: .* inherits app.journal, was .* inherits app.log$/,
  ],
  ['alter table app.child owner to $ROLE', 'changed table app.child: owner: $ROLE, was postgres'],
  [
    'grant insert, delete on app.child to $ROLE',
    'changed table app.child: privileges of $ROLE: delete, insert, was none',
  ],
  [
    'grant select on app.parent to $ROLE with grant option',
    'changed table app.parent: privileges of $ROLE: select*, was select',
  ],
  [
    'revoke delete on app.child from postgres',
    /^changed table app.child: owner's privileges: insert, .*, was none$/,
  ],
  [
    'alter table app.child set (fillfactor = 70)',
    'changed table app.child: options: fillfactor=70, was none',
  ],
  [
    'alter table app.child enable row level security',
    'changed table app.child: row security: enabled, was none',
  ],
  [
    'alter table app.child replica identity full',
    'changed table app.child: replica identity: full, was none',
  ],
  // Columns.
  [
    'alter table app.child add column note text default 5',
    'added column app.child.note: text default 5',
  ],
  [
    'alter table app.parent alter column note type varchar(9)',
    'changed column app.parent.note: definition: character varying(9), was text',
  ],
  [
    'alter table app.parent alter column name drop not null',
    "changed column app.parent.name: definition: text default 'x'::text, was text not null default 'x'::text",
  ],
  ['alter table app.parent drop column note', 'dropped column app.parent.note: text'],
  [
    'alter table app.parent rename column note to remark',
    'renamed column app.parent.note: now app.parent.remark',
  ],
  [
    'grant update (note) on app.parent to $ROLE',
    'changed column app.parent.note: privileges of $ROLE: update, was none',
  ],
  [
    'alter table app.parent drop column note; alter table app.parent add column note text; alter table app.parent add column last int; alter table app.parent drop column last',
  ],
  // Constraints.
  [
    'alter table app.child add constraint positive check (amount > 0)',
    'added constraint app.child.positive: CHECK ((amount > 0))',
  ],
  [
    'alter table app.parent drop constraint is_named',
    "dropped constraint app.parent.is_named: CHECK ((name <> ''::text))",
  ],
  [
    'alter table app.parent rename constraint is_named to named',
    'renamed constraint app.parent.is_named: now app.parent.named',
  ],
  [
    'alter table app.child drop constraint child_parent_id_fkey, add constraint child_parent_id_fkey foreign key (parent_id) references app.parent not valid',
    'changed constraint app.child.child_parent_id_fkey: definition: FOREIGN KEY (parent_id) REFERENCES app.parent(id) NOT VALID, was FOREIGN KEY (parent_id) REFERENCES app.parent(id)',
  ],
  // Indexes.
  [
    'create index more on app.child (amount desc)',
    'added index app.more: CREATE INDEX more ON app.child USING btree (amount DESC)',
  ],
  [
    'drop index app.child_amount',
    'dropped index app.child_amount: CREATE INDEX child_amount ON app.child USING btree (amount)',
  ],
  [
    'alter index app.child_amount rename to amounts_idx',
    'renamed index app.child_amount: now app.amounts_idx',
  ],
  [
    "update pg_index set indisvalid = false where indexrelid = 'app.child_amount'::regclass",
    'changed index app.child_amount: definition: CREATE INDEX child_amount ON app.child USING btree (amount) invalid, was CREATE INDEX child_amount ON app.child USING btree (amount)',
  ],
  // Views.
  ['create view app.more as select 1 as one', 'added view app.more: SELECT 1 AS one;'],
  [
    'create or replace view app.names as select upper(name) as name from app.parent',
    /^changed view app.names: definition differs from line 1: SELECT upper\((parent\.)?name\) AS name, was SELECT (parent\.)?name \(lines: 1 added, 1 removed\)$/,
  ],
  ['drop view app.names', /^dropped view app.names: SELECT (parent\.)?name$/],
  ['alter view app.names rename to labels', 'renamed view app.names: now app.labels'],
  ['alter view app.names owner to $ROLE', 'changed view app.names: owner: $ROLE, was postgres'],
  [
    'grant select on app.names to public',
    'changed view app.names: privileges of PUBLIC: select, was none',
  ],
  [
    'drop materialized view app.amounts',
    /^dropped materialized view app.amounts: SELECT sum\((child\.)?amount\) AS total$/,
  ],
  // Sequences.
  [
    'alter sequence app.numbers increment 2',
    /^changed sequence app.numbers: definition: bigint start 1 increment 2 .*, was bigint start 1 increment 1/,
  ],
  ['drop sequence app.numbers', /^dropped sequence app.numbers/],
  ['create sequence app.more', /^added sequence app.more/],
  ['alter sequence app.numbers rename to counts', 'renamed sequence app.numbers: now app.counts'],
  [
    'alter sequence app.numbers owned by app.parent.id',
    'changed sequence app.numbers: owned by: app.parent.id, was none',
  ],
  [
    'grant usage on sequence app.numbers to $ROLE',
    'changed sequence app.numbers: privileges of $ROLE: usage, was none',
  ],
  [
    'alter sequence app.numbers set unlogged',
    /^changed sequence app.numbers: definition: .* unlogged, was /,
  ],
  // Functions.
  [
    'create function app.more() returns int language sql as $$select 1$$',
    'added function app.more(): CREATE OR REPLACE FUNCTION app.more()',
  ],
  [
    'create or replace function app.add(a int, b int) returns int language plpgsql set work_mem = $$8MB$$ as $$\nbegin\n  -- Adds.\n  return a - b;\nend\n$$',
    'changed function app.add(integer, integer): definition differs from line 8: return a - b;, was return a + b; (lines: 1 added, 1 removed)',
  ],
  [
    'alter function app.add(int, int) reset all',
    /^changed function app.add\(integer, integer\): definition differs from line 4/,
  ],
  [
    'alter function app.add(int, int) security definer',
    /^changed function app.add\(integer, integer\): definition differs from line 4: SECURITY DEFINER/,
  ],
  [
    'alter function app.add(int, int) rename to plus',
    'renamed function app.add(integer, integer): now app.plus(integer, integer)',
  ],
  [
    'alter function app.add(int, int) owner to $ROLE',
    'changed function app.add(integer, integer): owner: $ROLE, was postgres',
  ],
  [
    'revoke execute on function app.add(int, int) from public',
    'changed function app.add(integer, integer): privileges of PUBLIC: none, was execute',
  ],
  [
    'grant execute on function app.add(int, int) to $ROLE',
    'changed function app.add(integer, integer): privileges of $ROLE: execute, was none',
  ],
  [
    'drop function app.add(int, int)',
    'dropped function app.add(integer, integer): CREATE OR REPLACE FUNCTION app.add(a integer, b integer)',
  ],
  [
    'drop procedure app.run()',
    'dropped procedure app.run(): CREATE OR REPLACE PROCEDURE app.run()',
  ],
  [
    'alter aggregate app.total(int) rename to sum_of',
    'renamed aggregate app.total(integer): now app.sum_of(integer)',
  ],
  // Triggers, rules, policies.
  [
    'create trigger more before insert on app.parent for each row execute function app.tg()',
    /^added trigger app.parent.more/,
  ],
  [
    'alter table app.parent disable trigger touch',
    /^changed trigger app.parent.touch: definition: .* disabled, was /,
  ],
  [
    'alter trigger touch on app.parent rename to touched',
    'renamed trigger app.parent.touch: now app.parent.touched',
  ],
  ['drop trigger touch on app.parent', /^dropped trigger app.parent.touch/],
  [
    'create or replace rule keep as on delete to app.child do instead (select 1)',
    /^changed rule app.child.keep/,
  ],
  ['drop rule keep on app.child', /^dropped rule app.child.keep/],
  [
    'alter policy own on app.child using (amount > 1)',
    'changed policy app.child.own: definition: permissive for select to PUBLIC using ((amount > 1)), was permissive for select to PUBLIC using ((amount > 0))',
  ],
  ['create policy more on app.child', 'added policy app.child.more: permissive for all to PUBLIC'],
  [
    'alter policy own on app.child rename to mine',
    'renamed policy app.child.own: now app.child.mine',
  ],
  ['drop policy own on app.child', /^dropped policy app.child.own/],
  // Types.
  [
    "alter type app.mood add value 'so-so'",
    "changed type app.mood: labels: 'good', 'bad', 'so-so', was 'good', 'bad'",
  ],
  [
    'alter domain app.code set default $$y$$',
    "changed type app.code: default: 'y'::text, was none",
  ],
  [
    'alter domain app.code drop constraint code_check',
    "changed type app.code: constraints: none, was code_check CHECK ((VALUE <> ''::text))",
  ],
  ['alter type app.pair add attribute three int', 'added column app.pair.three: integer'],
  ['alter type app.mood rename to humour', 'renamed type app.mood: now app.humour'],
  ['alter type app.mood owner to $ROLE', 'changed type app.mood: owner: $ROLE, was postgres'],
  [
    'revoke usage on type app.mood from public',
    'changed type app.mood: privileges of PUBLIC: none, was usage',
  ],
  ['create type app.more as enum ()', 'added type app.more: enum'],
  ['drop type app.mood', 'dropped type app.mood: enum'],
  // The rest.
  [
    'drop table app.log_2026',
    "dropped partition app.log_2026: FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') inherits app.log",
  ],
  ['drop statistics app.stats', /^dropped statistics app.stats/],
  [
    'alter default privileges in schema app grant insert on tables to $ROLE',
    'changed default privileges of postgres on tables in app: privileges of $ROLE: insert, select, was select',
  ],
  [
    'alter default privileges in schema app revoke select on tables from $ROLE',
    /^dropped default privileges of postgres on tables in app/,
  ],
  [
    'alter publication news add table app.parent',
    'changed publication news: tables: app.child, app.parent, was app.child',
  ],
  [
    'alter publication news owner to $SUPERUSER',
    'changed publication news: owner: $SUPERUSER, was postgres',
  ],
  ['drop publication news', 'dropped publication news: tables app.child'],
  ['create publication more for all tables', 'added publication more: tables all'],
]

test('each kind of change to each kind of object is reported, with what differs', async (t) => {
  const role = await createTestRole(t)
  const superuser = await createTestRole(t, 'superuser')
  const fill = (text: string) => text.replaceAll('$ROLE', role).replaceAll('$SUPERUSER', superuser)
  const { session, compare, listDrift, pool } = await createRecorded(t, fill(SCHEMA))
  t.strictSame(await listDrift(), [])

  const before = await compare()
  for (const [statements, ...expected] of CASES) {
    await session.query('begin')
    await session.query(fill(statements))
    const found = await listDrift()
    const after = await compare()
    t.strictSame(
      (await compare(before)).differences,
      after.differences,
      `${statements}: from before`,
    )
    t.equal(found.length, expected.length, `${statements}: ${found.join('\n')}`)
    for (const [index, one] of expected.entries()) {
      if (typeof one === 'string') t.equal(found[index], fill(one), statements)
      else t.match(found[index], one, statements)
    }
    await session.query('rollback')
    t.strictSame((await compare(after)).differences, [], `${statements}: undone`)
  }
  t.strictSame(await listDrift(), [])
  await pool.query(`drop owned by ${role}`)
})

/** Objects whose definitions mention others: by name, by column, by value. */
const MENTIONING = `
  create schema app;
  create schema away;
  create type app.mood as enum ('good', 'bad');
  create domain app.strict as app.mood check (value <> 'bad');
  create type app.pair as (one int, two app.mood);
  create collation app.plain from "C";
  create function app.tg() returns trigger language plpgsql as 'begin return new; end';
  create function away.five() returns int language sql immutable as 'select 5';
  create function app.plus(a int, b int) returns int language sql immutable as 'select a + b';
  create operator app.## (leftarg = int, rightarg = int, function = app.plus);
  create sequence away.numbers;
  create sequence app.counts;
  create table app.parent (
    id int primary key default nextval('away.numbers'), code text collate app.plain unique, mood app.mood default 'good',
    moods app.mood[] default '{good}', stricts app.strict default 'good', pair app.pair,
    twice int generated always as (app.plus(1, 1)) stored, five int default away.five(),
    check (app.plus(five, 1) > 0));
  create table app.child (
    parent_id int references app.parent (id), code text references app.parent (code), amount int, whole app.parent,
    check (amount operator(app.##) 1 > 0));
  create sequence app.owned owned by app.child.amount;
  create index on app.child ((amount + 1)) where amount > 0;
  create statistics app.stats on amount, code from app.child;
  create table app.kid () inherits (app.child);
  create view app.joined as select * from app.parent join app.child using (code);
  create view app.upper as select amount from app.joined;
  create materialized view app.sums as select sum(amount) as total, (pair).two from app.child, app.parent group by (pair).two;
  create function app.body() returns bigint begin atomic select sum(amount) from app.child; end;
  create function app.of_type(a app.pair, b app.parent) returns app.mood language sql as $$select 'good'::app.mood$$;
  create trigger touch before update of amount on app.child for each row when (new.amount > 0) execute function app.tg();
  create rule keep as on update to app.parent where new.five = 0 do also insert into app.child (amount) values (new.five);
  create policy own on app.child using (exists (select from app.parent where five = amount) and current_user = '$ROLE');
  create policy theirs on app.child to $ROLE using (true);
  create publication news for table app.child (parent_id, amount) where (amount > 0);
  grant select on app.child to $ROLE;
  create table app.log (at date, kind int) partition by range (at);
  create table app.log_2026 partition of app.log for values from ('2026-01-01') to ('2027-01-01')`

/** Changes to what others mention. */
const CHANGES: readonly string[] = [
  'alter table app.parent rename column five to six',
  'alter table app.parent rename column code to label',
  'alter table app.child rename column amount to quantity',
  'alter table app.child add column id int',
  'alter table app.child drop column amount cascade',
  'alter table app.log rename column at to on_day',
  'alter table app.parent rename to elder',
  'alter table app.parent set schema away',
  'alter table app.log rename to journal',
  'alter view app.joined rename to merged',
  'alter view app.joined rename column amount to quantity',
  'alter type app.mood rename to humour',
  "alter type app.mood rename value 'good' to 'fine'",
  'alter type app.pair rename attribute two to second',
  'alter type app.pair set schema away',
  'alter domain app.strict rename to severe',
  'alter domain app.strict set default $$good$$',
  'alter function away.five() rename to six',
  'alter function away.five() set schema app',
  'alter function app.plus(int, int) rename to add',
  'create or replace function app.plus(a int, b int) returns int language sql immutable as $$select b + a$$',
  'alter function app.tg() set schema away',
  'alter sequence away.numbers rename to counts',
  'alter sequence app.counts owned by app.child.amount',
  'alter sequence app.owned owned by none',
  'alter schema away rename to far',
  'alter collation app.plain rename to bare',
  'alter operator app.## (int, int) set schema away',
  'alter role $ROLE rename to $ROLE_2; alter role $ROLE_2 rename to $ROLE',
  'alter role $ROLE rename to $ROLE_2',
  'alter table app.kid no inherit app.child',
  'alter table app.log detach partition app.log_2026',
  'alter table app.child drop constraint child_parent_id_fkey',
  'alter table app.parent disable trigger all',
  'drop table app.parent cascade',
  'drop type app.mood cascade',
  'drop function away.five() cascade',
  'drop view app.joined cascade',
  'drop schema away cascade',
  'drop table app.child cascade; create table app.child (amount int)',
  'create table app.more (amount int); alter table app.child rename to was_child; alter table app.more rename to child',
  'alter publication news set table app.parent',
  'alter extension plpgsql add table app.log',
]

test('what changes by a change to something that it mentions is found, too', async (t) => {
  const role = await createTestRole(t)
  const fill = (text: string) => text.replaceAll('$ROLE', role)
  const { session, compare } = await createRecorded(t, fill(MENTIONING))
  const before = await compare()
  t.match(before, { inSync: true })

  for (const change of CHANGES) {
    await session.query('begin')
    await session.query(fill(change))
    const after = await compare()
    t.strictSame((await compare(before)).differences, after.differences, change)
    await session.query('rollback')
    t.strictSame((await compare(after)).differences, [], `${change}: undone`)
  }
  await session.query(`drop owned by ${role}`)
})
