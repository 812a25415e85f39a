// What the loop shows of a file that fails: that file, its line and the place on it.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'tap'
import { type ApplyOptions, applyCurrent } from '../../../dev/loop/apply.ts'
import { openToolSession } from '../../../dev/loop/tool-session.ts'
import { createFolder } from '../../support/migrations-folder.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'

interface Case {
  readonly current: string
  readonly fixtures?: Record<string, string>
  readonly file: string
  readonly line: number
  /** The line's text, with a `^` in front of the place. */
  readonly shows: string
  readonly message: RegExp
  readonly context?: RegExp
}

const FUNCTION = (body: string) =>
  `create or replace function public.f()\nreturns int\nlanguage plpgsql\nas $$\n${body}\n$$;\n`

const CASES: Record<string, Case> = {
  'a wrong column in current.sql': {
    current: '\n\nselect 1;\nselect nonsense from pg_class;\n',
    file: 'current.sql',
    line: 4,
    shows: 'select ^nonsense from pg_class;',
    message: /^column "nonsense" does not exist$/,
  },
  'characters of several bytes': {
    current: "select 'Zoë 🛑', nonsense;\n",
    file: 'current.sql',
    line: 1,
    shows: "select 'Zoë 🛑', ^nonsense;",
    message: /nonsense/,
  },
  'PL/pgSQL in the second of two fixtures': {
    current: '-- Two fixtures\n--!include a.sql\n--!include deep/b.sql\nselect 1;\n',
    fixtures: {
      'a.sql': '\n\nselect 1;\n\n\n',
      'deep/b.sql': `\n\n${FUNCTION('begin\n  retrun 1;\nend;')}`,
    },
    file: 'fixtures/deep/b.sql',
    line: 8,
    shows: '  ^retrun 1;',
    message: /syntax error at or near "retrun"/,
  },
  'below a fixture': {
    current: '--!include a.sql\n\nselect nonsense;\n',
    fixtures: { 'a.sql': '\nselect 1;\nselect 2;\n\n' },
    file: 'current.sql',
    line: 3,
    shows: 'select ^nonsense;',
    message: /nonsense/,
  },
  'a fixture in a fixture, below it': {
    current: 'select 1;\n--!include outer.sql\n',
    fixtures: {
      'outer.sql': '-- Outer\n--!include inner.sql\nselect outer_mistake;\n',
      'inner.sql': 'select 1;\nselect 2;',
    },
    file: 'fixtures/outer.sql',
    line: 3,
    shows: 'select ^outer_mistake;',
    message: /outer_mistake/,
  },
  'the indented first line of a fixture': {
    current: '--!include a.sql\n',
    fixtures: { 'a.sql': '\n   select nonsense;\n' },
    file: 'fixtures/a.sql',
    line: 2,
    shows: '   select ^nonsense;',
    message: /nonsense/,
  },
  'behind a placeholder on the line': {
    current: "select ':LONG_VALUE', nonsense;\n",
    file: 'current.sql',
    line: 1,
    shows: "select ':LONG_VALUE', ^nonsense;",
    message: /nonsense/,
  },
  'a statement that PostgreSQL gives no position for': {
    current:
      'select 1;\ncreate table public.t (id int primary key);\ninsert into public.t values (1),\n  (1);\n',
    file: 'current.sql',
    line: 3,
    shows: 'insert into public.t values (1),',
    message: /duplicate key value/,
  },
  'an anonymous block': {
    current: "select 1;\ndo $$\nbegin\n  perform 1;\n  raise exception 'Not so';\nend;\n$$;\n",
    file: 'current.sql',
    line: 5,
    shows: "  raise exception 'Not so';",
    message: /^Not so$/,
    context: /inline_code_block line 4/,
  },
  'a function that is called': {
    current: '--!include f.sql\nselect public.f();\n',
    fixtures: { 'f.sql': FUNCTION('begin\n  return 1 / 0;\nend;') },
    file: 'current.sql',
    line: 2,
    shows: 'select public.f();',
    message: /division by zero/,
    context: /function f\(\) line 3/,
  },
  'a file that does not exist': {
    current: 'select 1;\n--!include nowhere.sql\n',
    fixtures: { 'a.sql': '' },
    file: 'current.sql',
    line: 2,
    shows: '--!include nowhere.sql',
    message: /^fixtures\/nowhere\.sql does not exist$/,
  },
  'a file that is no fixture': {
    current: 'select 1;\n--!include ../../README.md\n',
    file: 'current.sql',
    line: 2,
    shows: '--!include ../../README.md',
    message: /^an include that is outside of fixtures\/: "--!include \.\.\/\.\.\/README\.md"$/,
  },
  'transaction control in a fixture': {
    current: '--!include a.sql\n',
    fixtures: { 'a.sql': 'select 1;\ncommit;\n' },
    file: 'fixtures/a.sql',
    line: 2,
    shows: 'commit;',
    message: /"commit" begins, ends or prepares a transaction/,
  },
}

test('what fails is shown where it was written', async (t) => {
  const database = await createTestDatabase(t, { from: 'migrated' })
  const migrationsDir = createFolder(t)
  cpSync(join(projectDir, 'migrations', 'committed'), join(migrationsDir, 'committed'), {
    recursive: true,
  })
  const notices: string[] = []
  const openAt = (url: string) => () =>
    openToolSession({ url, lockTimeoutMs: 2000, onNotice: (text) => notices.push(text) })
  const options: ApplyOptions = {
    ...{ open: openAt(database.url), databaseName: database.name, migrationsDir },
    settings: { placeholders: { ':E2E_SCHEMA': 'on', ':LONG_VALUE': 'x'.repeat(50) } },
  }
  const write = (current: string, fixtures: Record<string, string> = {}) => {
    for (const [name, text] of Object.entries(fixtures)) {
      mkdirSync(dirname(join(migrationsDir, 'fixtures', name)), { recursive: true })
      writeFileSync(join(migrationsDir, 'fixtures', name), text)
    }
    writeFileSync(join(migrationsDir, 'current.sql'), current)
  }

  for (const [what, { current, fixtures, ...expected }] of Object.entries(CASES)) {
    await t.test(what, async (t) => {
      write(current, fixtures)

      const { failure } = await applyCurrent(options)

      const { place } = failure ?? {}
      const marked =
        place?.column === undefined
          ? place?.text
          : `${place.text.slice(0, place.column)}^${place.text.slice(place.column)}`
      t.strictSame(
        { file: place?.file, line: place?.line, shows: marked },
        { file: expected.file, line: expected.line, shows: expected.shows },
      )
      t.match(failure?.message, expected.message)
      if (expected.context) t.match(failure?.context, expected.context)
    })
  }

  await t.test('a success returns nothing, and shows what was raised', async (t) => {
    write("drop table if exists public.no_such;\ndo $$ begin raise notice 'Seen'; end $$;\n")

    t.equal((await applyCurrent(options)).failure, undefined)
    t.strictSame(notices, ['Seen'])
    const { rows } = await database.pool.query('select content from graphile_migrate.current')
    t.match(rows[0]?.content, /no_such/)
  })

  await t.test('a lost or refused connection is no failure of the file', async (t) => {
    const url = new URL(database.url)
    url.port = '1'
    await t.rejects(applyCurrent({ ...options, open: openAt(url.href) }), {
      message: /ECONNREFUSED/,
    })
    write('do $$ begin perform pg_terminate_backend(pg_backend_pid()); end $$;\n')
    await t.rejects(applyCurrent(options), { message: /terminat/ })
  })
})
