import { test } from 'tap'
import {
  createStatementReader,
  type Statement,
  visitStatements,
} from '../../../src/migrations/tool/statements.ts'

const SCRIPTS = [
  `select 'a;b', E'it\\'s;', "c;""d" from t;; select 'a''b';`,
  `-- one; two\nselect 1;/* a; /* nested; */ still; */ select $$;$$, $tag$ ; $$ ; $ta; $tag$;`,
  `create function f(a int) returns int language sql begin atomic
     select case when a > 0 then 1 else 2 end; select 3; end;`,
  `select 'a'\n  'b;' -- why; \n ';c' - 1; select u&'\\0061;', U&"d;", b'1', $1, 3 / 2, 3 - -2;`,
  `\\restrict abc\ncopy t (a) from stdin; begin`,
  `select 'übung 😀;', 名前 from t; select 'open ;`,
  `select 1; /* open ; `,
  `select $open$ ; $ope; `,
]

function readStatements(pieces: readonly string[], standardStrings: boolean): Statement[] {
  const statements: Statement[] = []
  const reader = createStatementReader((statement) => statements.push(statement) < 0, {
    standardStrings,
  })
  for (const piece of pieces) reader.read(piece)
  reader.finish()
  return statements
}

test('a script has the same statements wherever its pieces are cut', async (t) => {
  for (const standardStrings of [true, false]) {
    for (const script of SCRIPTS) {
      const whole: Statement[] = []
      visitStatements(script, (statement) => whole.push(statement) < 0, { standardStrings })
      const cuts = Array.from(script, (_, at) => at)
      const wrong = cuts.filter((at) => {
        const pieces = [script.slice(0, at), script.slice(at)]
        return JSON.stringify(readStatements(pieces, standardStrings)) !== JSON.stringify(whole)
      })
      t.strictSame(wrong, [], script)
      t.strictSame(readStatements([...script], standardStrings), whole, `${script}, by characters`)
    }
  }
})
