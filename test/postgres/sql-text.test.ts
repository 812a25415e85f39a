import { test } from 'tap'
import { dollarQuote, explain, lines, paragraphs, sql } from '../../src/postgres/sql-text.ts'

test('a template loses its own indentation and keeps that of its lines', async (t) => {
  t.equal(
    sql`
      select 1
        from t`,
    'select 1\n  from t',
  )
})

test('a value of several lines is indented to the column where it stands', async (t) => {
  const value = 'a = 1\nor b = 2'

  t.equal(
    sql`
      select 1
       where ${value}`,
    'select 1\n where a = 1\n       or b = 2',
  )
})

test('a value that opens a bracket is indented like its line', async (t) => {
  const value = 'exists (\n  select 1)'

  t.equal(
    sql`
      select 1
       where ${value}`,
    'select 1\n where exists (\n   select 1)',
  )
})

test('a line that holds only an empty value is dropped, a blank line is kept', async (t) => {
  t.equal(
    sql`
      begin
        ${''}

        ${'work;'}
      end`,
    'begin\n\n  work;\nend',
  )
})

test('a line break in a name or a string is not indented', async (t) => {
  const value = lines(`delete from "a\nb"; -- it's a comment`, `select 'c\n''d', "e"`)

  t.equal(
    sql`
      begin
        ${value}
      end`,
    `begin\n  delete from "a\nb"; -- it's a comment\n  select 'c\n''d', "e"\nend`,
  )
})

test('what is empty leaves no blank line and no comment', async (t) => {
  t.equal(paragraphs('a', '', 'b'), 'a\n\nb')
  t.equal(lines('a', '', 'b'), 'a\nb')
  t.equal(explain('Says why.', '', ''), '')
})

test('a long comment is wrapped', async (t) => {
  const words = Array.from({ length: 30 }, (_, index) => `word${index}`)

  const rows = explain(words.join(' '), 'work;').split('\n')

  t.equal(rows.pop(), 'work;')
  t.ok(rows.length > 1)
  t.ok(rows.every((row) => row.startsWith('-- ') && row.length <= 96))
  t.same(
    rows.flatMap((row) => row.slice(3).split(' ')),
    words,
  )
})

test('a text is quoted by a tag that it does not contain', async (t) => {
  t.equal(dollarQuote('a'), '$reset$\na\n$reset$')
  t.equal(dollarQuote('$reset$ $reset_2$'), '$reset_3$\n$reset$ $reset_2$\n$reset_3$')
})
