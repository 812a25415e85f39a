import { test } from 'tap'
import { mayLeaveUnseen } from '../../../src/migrations/tool/leftovers.ts'

const UNSEEN: readonly string[] = [
  "set app.tenant = '1'",
  "set session app.tenant to '1'",
  'SET  App.Tenant = 1',
  'set "app"."tenant" = 1',
  'set/**/app.tenant = 1',
  'set -- why\n app.tenant = 1',
  "select set_config('app.tenant', '1', false)",
  `select U&"set\\005fconfig"('app.tenant', '1', false)`,
  "do $$ begin execute format('set %I = 1', 'app.tenant'); end $$",
  "do $$ begin execute 'set ' || 'app.tenant' || ' = 1'; end $$",
  "load 'auto_explain'",
  'create extension dblink',
]
const SEEN: readonly string[] = [
  "create table t (id int primary key, name text not null default 'a.b')",
  "update t set name = 'a.b', other='c.d' where id = 1.5",
  "alter table t alter column id set not null, alter column name set default 'x'",
  'alter table t add foreign key (id) references s on delete set null',
  'alter table t set (fillfactor = 70); alter table t set schema s',
  'set local search_path = pg_catalog, pg_temp',
  "set statement_timeout = '1s'; set role app; reset all",
  "comment on table t is 'the offset.'",
]
for (const [statements, expected] of [
  [UNSEEN, true],
  [SEEN, false],
] as const) {
  for (const sql of statements) {
    test(`${sql} may ${expected ? '' : 'not '}leave behind what is not seen`, async (t) => {
      t.equal(mayLeaveUnseen(sql), expected)
    })
  }
}
