import { test } from 'tap'
import { findRefusal, type Refusal } from '../../../src/migrations/tool/refusal.ts'

/** Each script, and the statement in it that is refused. */
const REFUSED: readonly (readonly [string, Refusal['reason'], string])[] = [
  ...[
    'begin',
    'BEGIN WORK',
    'begin isolation level serializable',
    'start transaction',
    'Start /* so */ Transaction read only',
    'commit',
    'COMMIT AND CHAIN',
    "commit prepared 'x'",
    'end',
    'end transaction',
    'abort',
    'rollback',
    'rollback work',
    'rollback and chain',
    "rollback prepared 'x'",
    "prepare transaction 'x'",
    "prepare transaction U&'x'",
  ].map((statement) => [statement, 'transaction_control', statement] as const),
  ['create table t (i int); rollback;', 'transaction_control', 'rollback'],
  ['rollback', 'transaction_control', 'rollback'],
  ['select 1;;\n-- why; \n  commit ; select 2', 'transaction_control', 'commit'],
  ['/* a /* nested; */ ; */ commit', 'transaction_control', 'commit'],
  ["select 'it''s; '; commit", 'transaction_control', 'commit'],
  ["select E'it\\'s; '; commit", 'transaction_control', 'commit'],
  ["select E'a'\n'b\\'; '; commit", 'transaction_control', 'commit'],
  ["select 'a\\'; commit", 'transaction_control', 'commit'],
  ["select U&'\\0061'; commit", 'transaction_control', 'commit'],
  ['select U&"a;""" from t; commit', 'transaction_control', 'commit'],
  ['select $$;$$; commit', 'transaction_control', 'commit'],
  ['select $a$ $b$; $a$; commit', 'transaction_control', 'commit'],
  ['select 1 as a$b$; commit; select 2 as a$b$', 'transaction_control', 'commit'],
  ['select 1 as ü$b$; commit; select 2 as ü$b$', 'transaction_control', 'commit'],
  ['select $1; commit', 'transaction_control', 'commit'],
  ['select 1 ) ; commit', 'transaction_control', 'commit'],
  ['select 2 -- 1;\r; commit', 'transaction_control', 'commit'],
  ['select 2 --/* \n; commit', 'transaction_control', 'commit'],
  ['select 2*/* ; */3; commit', 'transaction_control', 'commit'],
  [
    'create function f() returns int begin atomic select case when true then 1 end; select 1 as end; end; commit',
    'transaction_control',
    'commit',
  ],
  [
    'create rule r as on insert to t do also (select 1; select 2); commit',
    'transaction_control',
    'commit',
  ],
  ['\\restrict abc\nselect 1;', 'psql_command', '\\restrict abc'],
  ['select 1;\n\\connect other\n', 'psql_command', '\\connect other'],
  ['select 1 \\gexec', 'psql_command', '\\gexec'],
  [
    'COPY public.t (a, b) FROM stdin;\n1\t2\n\\.\n',
    'copy_through_client',
    'COPY public.t (a, b) FROM stdin',
  ],
  [
    'copy t from stdin with (format csv, header)',
    'copy_through_client',
    'copy t from stdin with (format csv, header)',
  ],
  ['copy (select a from t) to stdout', 'copy_through_client', 'copy (select a from t) to stdout'],
  ['copy t to STDOUT', 'copy_through_client', 'copy t to STDOUT'],
]

for (const [sql, reason, statement] of REFUSED) {
  test(`refused: ${JSON.stringify(sql)}`, async (t) => {
    const refusal = findRefusal(sql, { noTransaction: false })
    t.match(refusal, { reason, statement })
    t.equal(refusal && sql.startsWith(statement, refusal.offset), true)
  })
}

const ACCEPTED: readonly string[] = [
  '',
  ';;',
  'savepoint a; rollback to a; rollback to savepoint a; rollback work to a; rollback transaction to a; release a',
  'set transaction isolation level serializable; set constraints all deferred',
  'prepare transaction as select 1; prepare commit as select 2; execute commit; deallocate commit',
  'prepare transaction (int) as select $1',
  'do $$ begin commit; end $$',
  'create procedure p() language plpgsql as $$ begin commit; end $$',
  'create procedure p() begin atomic select 1; end',
  'create or replace function f() returns int language sql begin atomic select 1; select 2; end',
  'select \'a; commit; \'; select "; commit" from t; select $x$; commit; $x$',
  '-- commit;\n/* ; commit; */ select 1',
  "select E'\\'; commit; '",
  'select begin.commit from begin; comment on table "commit" is \'; commit\'',
  "copy t from '/tmp/t'; copy t to program 'cat'; copy stdin from '/tmp/stdin'; copy t (stdout) from '/a'",
  'create table "begin" (i int); explain select 1; lock table t',
  "select '\\restrict', E'\\\\', $$\\d$$ -- \\d",
]

for (const sql of ACCEPTED) {
  test(`accepted: ${JSON.stringify(sql)}`, async (t) => {
    t.equal(findRefusal(sql, { noTransaction: false }), undefined)
  })
}

test('outside a transaction a file may control its own', async (t) => {
  const sql = 'begin; select 1; commit; \\d'
  t.match(findRefusal(sql, { noTransaction: true }), { reason: 'psql_command' })
})

test('where strings have escapes, a backslash hides the quote after it', async (t) => {
  const sql = "select 'a\\'; commit; ', n'\\'; commit;'"
  t.equal(findRefusal(sql, { noTransaction: false, standardStrings: false }), undefined)
  t.match(findRefusal(sql, { noTransaction: false }), { statement: 'commit' })
})

test('a long statement is shown in part', async (t) => {
  const refusal = findRefusal(`begin /* ${'long '.repeat(100)} */`, { noTransaction: false })
  t.equal(refusal?.statement.length, 100)
})
