import { test } from 'tap'
import { findStatement } from '../../../src/migrations/tool/statements.ts'
import { createTestDatabase } from '../../support/postgres.ts'

/** Splits a script where its statements begin. */
function splitStatements(sql: string): string[] {
  const starts: number[] = []
  for (let index = 0; ; index++) {
    const start = findStatement(sql, index)
    if (start === undefined) break
    starts.push(start)
  }
  return starts.map((start, index) => sql.slice(start, starts[index + 1]).trim())
}

const SCRIPT = [
  `select 'a;b', E'it\\'s;', "c;d" from (select 1 as "c;d") s;`,
  `-- one; two
   select 1;;`,
  `/* a; /* nested; */ still; */ select $$;$$, $tag$ ; $$ ; $tag$;`,
  `create function f(a int) returns int language sql begin atomic
     select case when a > 0 then 1 else 2 end; select 3; end;`,
  `do $x$ begin perform 1; end $x$;`,
  `create table t (a int default (1), b text check (b <> ';'));`,
  `select 1 as übung$1;`,
]

test('statements begin where PostgreSQL sees them begin', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  const sql = SCRIPT.join('\n')

  const results = (await pool.query(sql)) as unknown as { command: string }[]

  t.strictSame(
    splitStatements(sql).map((statement) => /^\w+/.exec(statement)?.[0].toUpperCase()),
    results.map(({ command }) => command),
  )
})

test('an unfinished script has at most one statement', async (t) => {
  for (const sql of ['', ' ; ; ', '/* open', 'select $$ open', "select 'open", 'begin atomic ;']) {
    t.ok(splitStatements(sql).length <= 1, sql)
  }
})
