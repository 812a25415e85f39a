import { test } from 'tap'
import {
  findIgnoredHeader,
  isOutsideTransaction,
} from '../../../src/migrations/files/ignored-header.ts'

const HEADERS = '--! Previous: -\n--! Hash: sha1:0\n--! Message: a'

const IGNORED: readonly (readonly [string, string, number, string])[] = [
  ['in other letters', `${HEADERS}\n\n--! No-Transaction\nselect 1;`, 5, 'no-transaction'],
  ['below a comment', `${HEADERS}\n\n-- why\n--! no-transaction\nselect 1;`, 6, 'no-transaction'],
  ['below a block comment', '/* why\n*/\n--! no-transaction\nselect 1;', 3, 'no-transaction'],
  ['below a statement', 'select 1;\n\n--! no-transaction\n', 3, 'no-transaction'],
  ['inside a fixture', '--! Included a.sql\n--! no-transaction\nselect 1;', 2, 'no-transaction'],
  ['with an underscore', '--! no_transaction\nselect 1;', 1, 'no-transaction'],
  ['with a blank', '--! no transaction\nselect 1;', 1, 'no-transaction'],
  ['with a blank before the mark', '-- ! no-transaction\nselect 1;', 1, 'no-transaction'],
  ['among the headers', `--! NoTransaction\n${HEADERS}\n\nselect 1;`, 1, 'no-transaction'],
  ['a hash in small letters', '--! Previous: -\n--! hash: sha1:0\n\nselect 1;', 2, 'Hash: …'],
  ['a colon after a blank', '--! Hash : sha1:0\n\nselect 1;', 1, 'Hash: …'],
  ['a message below a comment', '-- why\n--! Message: a\nselect 1;', 2, 'Message: …'],
  [
    'a header with blanks and no value',
    '--! AllowInvalidHash \n\nselect 1;',
    1,
    'AllowInvalidHash',
  ],
]
for (const [what, text, line, remedy] of IGNORED) {
  test(`${what}: the line is named, with what to write`, async (t) => {
    const problem = findIgnoredHeader(text) ?? ''
    t.match(problem, `has a header that graphile-migrate ignores, line ${line}: `)
    t.match(problem, `write "--! ${remedy}"`)
  })
}

test('a header that graphile-migrate does not know is named with those that it knows', async (t) => {
  for (const text of [`${HEADERS}\n--! Author: me\n\nselect 1;`, '\n--! Author: me\nselect 1;']) {
    t.match(findIgnoredHeader(text), /"--! Author: me"; it knows Previous, Hash, .*no-transaction;/)
  }
})

const TAKEN: Record<string, string> = {
  'headers and SQL': `${HEADERS}\n\nselect 1;`,
  'a header without value': `--! AllowInvalidHash\n${HEADERS}\n\nselect 1;`,
  'no-transaction': `${HEADERS}\n\n\n--! no-transaction\nselect 1;`,
  'no-transaction without a blank': '--!no-transaction\nselect 1;',
  'no-transaction with an explanation': '--! no-transaction: an index\nselect 1;',
  'no-transaction again in a fixture':
    '--! no-transaction\n--! Included a.sql\n--! no-transaction\n',
  'included fixtures': '-- a\n--!include a.sql\n--! Included b.sql\n--! EndIncluded b.sql\n',
  'parts of current/': '--! split: 1-a.sql\nselect 1;\n--! split: 2-b.sql\nselect 2;',
  'an ordinary comment': '-- Message: no transaction is needed here\nselect 1;',
  'what is further down': 'select 1;\n--! Message: a\n',
  nothing: '',
}
for (const [what, text] of Object.entries(TAKEN)) {
  test(`${what}: nothing is ignored`, async (t) => {
    t.equal(findIgnoredHeader(text), undefined)
  })
}

test('a body runs outside a transaction if its first line says so', async (t) => {
  t.ok(isOutsideTransaction('\n --! no-transaction\nselect 1;'))
  t.notOk(isOutsideTransaction('--! No-Transaction\nselect 1;'))
  t.notOk(isOutsideTransaction('-- why\n--! no-transaction\nselect 1;'))
})
