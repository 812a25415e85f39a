import { test } from 'tap'
import { hideLiterals } from '../../src/postgres/hide-literals.ts'

const CASES: readonly (readonly [string, string])[] = [
  [`select * from hot where id = 42`, `select * from hot where id = ?`],
  [`select 'it''s secret', t1.x2 from t1`, `select ?, t1.x2 from t1`],
  [`select E'a\\'b', e'c' from x`, `select ?, ? from x`],
  [`select b'01', X'ff', n'a', U&'d\\0061t'`, `select ?, ?, ?, ?`],
  [`select $$secret$$, $tag$se$$cret$tag$, 1`, `select ?, ?, ?`],
  [`select "Quoted 1", "a""b" from "T"`, `select "Quoted 1", "a""b" from "T"`],
  [`select 1.5e-3, .5, 0x1F, 1_000 -- a secret\nfrom x`, `select ?, ?, ?, ? ?\nfrom x`],
  [`select /* secret */ x`, `select ? x`],
  [`insert into t values ('cut off in the mid`, `insert into t values (?`],
  [`do $body$ cut off 'too`, `do ?`],
  [`select x /* cut off`, `select x ?`],
  [`select tablé from größe where a=-1`, `select tablé from größe where a=-?`],
]

for (const [given, expected] of CASES) {
  test(`literals are hidden in ${JSON.stringify(given)}`, async (t) => {
    t.equal(hideLiterals(given), expected)
  })
}
