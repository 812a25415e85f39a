import { test } from 'tap'
import { findInvisibleCharacter } from '../../../src/migrations/files/invisible.ts'

const FOUND: readonly (readonly [string, string, string])[] = [
  [
    'a byte order mark between joined files',
    'select 1;\n\ufeffselect 2;',
    'line 2, column 1: U+FEFF',
  ],
  ['a zero-width space in a name', 'create table shop\u200b ();', 'line 1, column 18: U+200B'],
  ['a space that does not break', 'select\u00a01;', 'line 1, column 7: U+00A0'],
  ['a change of direction', "select 'a';\nselect \u202e1;", 'line 2, column 8: U+202E'],
]
for (const [what, sql, place] of FOUND) {
  test(`${what} is reported with its place`, async (t) => {
    t.match(findInvisibleCharacter(sql), `cannot be seen, ${place}; `)
  })
}

test('lines are counted from the first one of the body', async (t) => {
  t.match(findInvisibleCharacter('select\u00a01;', 5), 'line 5, column 7: ')
})

const ALLOWED: Record<string, string> = {
  'in a string': "select 'a\ufeff\u00a0';",
  'in a dollar-quoted string': "do $$ begin raise notice e'\u200b'; end $$;",
  'in a quoted name': 'create table "a\u00a0b" ();',
  'in a comment': '-- a\u00a0b\n/* c\u200bd */ select 1;',
  'letters of every script': 'create table größe (名前 text);',
}
for (const [what, sql] of Object.entries(ALLOWED)) {
  test(`${what}: nothing is reported`, async (t) => {
    t.equal(findInvisibleCharacter(sql), undefined)
  })
}
