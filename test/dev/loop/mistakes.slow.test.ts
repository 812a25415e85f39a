// What the terminal shows of twenty mistakes, from the save on: the error once, where it was written.
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { createLoop } from '../../../dev/loop/loop.ts'
import { NotNowError } from '../../../dev/loop/not-now.ts'
import { createReport, type Report } from '../../../dev/loop/report.ts'
import { createRunner, type Runner, type RunOptions } from '../../../dev/loop/run.ts'
import { watchMigrations } from '../../../dev/loop/watcher.ts'
import { ensureRecorder } from '../../../src/baseline/recorder.ts'
import { createFolder } from '../../support/migrations-folder.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'
import { until } from '../project.ts'

/** Files below the migrations folder, saved before and by the mistake; undefined removes one. */
type Files = Readonly<Record<string, string | Buffer | undefined>>

interface Mistake {
  readonly before?: Files
  readonly save: Files
  /** What the terminal shows, without the time. */
  readonly shows: readonly string[]
}

const FUNCTION = (body: string) =>
  `create or replace function commandbus.f()\nreturns int\nlanguage plpgsql\nas $$\n${body}\n$$;\n`

const MISTAKES: Readonly<Record<string, Mistake>> = {
  'a syntax error in the middle of a body': {
    save: { 'fixtures/f.sql': FUNCTION('begin\n  if true the\n    return 1;\n  end if;\nend;') },
    shows: [
      'error: migrations/fixtures/f.sql:7: missing "THEN" at end of SQL expression (42601)',
      '  7 |     return 1;',
      '                  ^',
    ],
  },
  'a syntax error at the end of a body': {
    save: { 'fixtures/f.sql': FUNCTION('begin\n  return 1;\nend').replace('end\n', '') },
    shows: [
      'error: migrations/fixtures/f.sql:7: syntax error at end of input (42601)',
      '  7 | $$;',
      '      ^',
    ],
  },
  'an error in a DO block': {
    save: { 'current.sql': 'select 1;\n\ndo $$\nbegin\n  perform 1\n  perform 2;\nend\n$$;\n' },
    shows: [
      'error: migrations/current.sql:6: syntax error at or near "2" (42601)',
      '  6 |   perform 2;',
      '                ^',
    ],
  },
  'a wrong type while a DO block runs': {
    save: {
      'current.sql':
        "select 1;\ndo $$\ndeclare\n  v_count int;\nbegin\n  v_count := 'many';\nend\n$$;\n",
    },
    shows: [
      'error: migrations/current.sql:6: invalid input syntax for type integer: "many" (22P02)',
      "  6 |   v_count := 'many';",
      '  context: PL/pgSQL function inline_code_block line 5 at assignment',
    ],
  },
  'a dollar quote without an end': {
    save: { 'fixtures/f.sql': FUNCTION('begin\n  return 1;\nend;').replace('\n$$;\n', '\n;\n') },
    shows: [
      'error: migrations/fixtures/f.sql:4: unterminated dollar-quoted string at or near "$$ …" (42601)',
      '  4 | as $$',
      '         ^',
    ],
  },
  'a quote without an end': {
    save: { 'current.sql': "select 1;\nselect 'open;\nselect 2;\n" },
    shows: [
      'error: migrations/current.sql:2: a quote is opened here and never closed',
      "  2 | select 'open;",
      '             ^',
      "  hint: If it is closed: graphile-migrate knows neither the quotes $name$ nor E'\\''; write $$ around a body and '' for a quote.",
    ],
  },
  'a byte order mark': {
    save: { 'fixtures/f.sql': `\ufeff${FUNCTION('begin return 1; end')}` },
    shows: [
      'error: migrations/fixtures/f.sql:1: begins with a byte order mark (EF BB BF); save it as UTF-8 without one',
      '  1 | create or replace function commandbus.f()',
    ],
  },
  'Windows line ends, with a mistake': {
    save: { 'fixtures/f.sql': FUNCTION('begin\n  retrun 1;\nend;').replaceAll('\n', '\r\n') },
    shows: [
      'error: migrations/fixtures/f.sql:6: syntax error at or near "retrun" (42601)',
      '  6 |   retrun 1;',
      '        ^',
    ],
  },
  'Latin-1': {
    save: { 'fixtures/f.sql': Buffer.from("select 1;\nselect 'Zo\xeb';\n", 'latin1') },
    shows: [
      'error: migrations/fixtures/f.sql:2: not UTF-8: line 2, byte 11 is 0xEB; save it as UTF-8',
      "  2 | select 'Zo�';",
    ],
  },
  'a NUL byte in a fixture': {
    save: { 'fixtures/f.sql': "select 1;\nselect 'a\0b';\n" },
    shows: [
      'error: migrations/fixtures/f.sql:2: a NUL byte, which PostgreSQL does not accept: line 2, byte 10; remove it',
      "  2 | select 'a\0b';",
    ],
  },
  'a NUL byte in current.sql': {
    save: { 'current.sql': '\0' },
    shows: [
      'error: migrations/current.sql:1: a NUL byte, which PostgreSQL does not accept: line 1, byte 1; remove it',
      '  1 | \0',
    ],
  },
  'an empty fixture': {
    save: { 'fixtures/f.sql': '' },
    shows: ['f.sql: no definition changed (1 ms)'],
  },
  'a fixture that another one includes is deleted': {
    before: {
      'fixtures/inner.sql': 'select 1;\n',
      'fixtures/f.sql': '-- Uses it\n--!include inner.sql\n',
    },
    save: { 'fixtures/inner.sql': undefined },
    shows: [
      'error: migrations/fixtures/f.sql:2: fixtures/inner.sql does not exist',
      '  2 | --!include inner.sql',
    ],
  },
  'a fixture that current.sql includes by hand is renamed': {
    before: { 'fixtures/f.sql': 'select 1;\n', 'current.sql': '--!include f.sql\n' },
    save: { 'fixtures/f.sql': undefined, 'fixtures/g.sql': 'select 1;\n' },
    shows: [
      'error: migrations/current.sql:1: fixtures/f.sql does not exist',
      '  1 | --!include f.sql',
    ],
  },
  'a mistake in a sub-folder': {
    save: { 'fixtures/a/b/f.sql': 'select nonsense;\n' },
    shows: [
      'error: migrations/fixtures/a/b/f.sql:1: column "nonsense" does not exist (42703)',
      '  1 | select nonsense;',
      '             ^',
    ],
  },
  'two functions that need each other': {
    save: {
      'fixtures/f.sql':
        'create or replace function commandbus.f() returns int return commandbus.g();\n',
      'fixtures/g.sql':
        'create or replace function commandbus.g() returns int return commandbus.f();\n',
    },
    shows: [
      'error: migrations/fixtures/f.sql:1: function commandbus.g() does not exist (42883)',
      '  1 | create or replace function commandbus.f() returns int return commandbus.g();',
      '                                                                   ^',
      '  hint: No function matches the given name and argument types. You might need to add explicit type casts.',
    ],
  },
  'two fixtures that include each other': {
    save: {
      'fixtures/f.sql': '--!include g.sql\nselect 1;\n',
      'fixtures/g.sql': '--!include f.sql\nselect 2;\n',
      'current.sql': '--!include f.sql\n',
    },
    shows: [
      'error: migrations/fixtures/g.sql:1: fixtures/f.sql includes itself: current.sql → fixtures/f.sql → fixtures/g.sql → fixtures/f.sql',
      '  1 | --!include f.sql',
    ],
  },
  'a fixture that includes itself': {
    before: { 'fixtures/f.sql': FUNCTION('begin return 1; end') },
    save: { 'fixtures/f.sql': `${FUNCTION('begin return 1; end')}--!include f.sql\n` },
    shows: [
      'error: migrations/fixtures/f.sql:7: fixtures/f.sql includes itself: current.sql → fixtures/f.sql → fixtures/f.sql',
      '  7 | --!include f.sql',
    ],
  },
  'a statement that takes too long': {
    save: { 'current.sql': "set local statement_timeout = '50ms';\nselect pg_sleep(5);\n" },
    shows: [
      'error: migrations/current.sql:2: canceling statement due to statement timeout (57014)',
      '  2 | select pg_sleep(5);',
    ],
  },
  'a psql command': {
    save: { 'current.sql': 'select 1;\n\\d\n' },
    shows: [
      'error: migrations/current.sql:2: a statement that no migration may have: "\\d" is a command of psql\'s, not SQL; delete the line, or write what it does in SQL; in a dump, \\restrict, \\unrestrict and \\connect can be deleted',
      '  2 | \\d',
    ],
  },
  'an unknown column in the body of a SQL function': {
    save: {
      'fixtures/f.sql':
        'create or replace function commandbus.f()\nreturns bigint\nlanguage sql\nas $$\n  select count(nonsense)\n    from commandbus.command;\n$$;\n',
    },
    shows: [
      'error: migrations/fixtures/f.sql:5: column "nonsense" does not exist (42703)',
      '  5 |   select count(nonsense)',
      '                     ^',
    ],
  },
  'a result of another type': {
    before: { 'fixtures/f.sql': FUNCTION('begin\n  return 1;\nend;') },
    save: { 'fixtures/f.sql': FUNCTION('begin\n  return 1;\nend;').replace('int', 'text') },
    shows: [
      'error: migrations/fixtures/f.sql:1: cannot change return type of existing function (42P13)',
      '  1 | create or replace function commandbus.f()',
      '  hint: Use DROP FUNCTION commandbus.f() first.',
    ],
  },
}

async function createTerminal(t: Test) {
  const database = await createTestDatabase(t, { from: 'migrated' })
  await ensureRecorder(database.pool)
  await database.pool.query('select provisioning.record_schema()')
  const migrationsDir = join(createFolder(t), 'migrations')
  cpSync(join(projectDir, 'migrations'), migrationsDir, { recursive: true })
  let shown = ''
  const report = createReport({
    folder: 'migrations',
    color: false,
    write: (text) => {
      shown += text
    },
    now: () => new Date(2026, 10, 26, 9, 5, 7),
  })
  const options: RunOptions = {
    ...{ readUrl: () => database.url, databaseName: database.name, lockTimeoutMs: 500 },
    ...{ migrationsDir, note: report.note, settings: { placeholders: { ':E2E_SCHEMA': 'on' } } },
  }
  const runner = createRunner(options)
  t.teardown(runner.close)
  return {
    database,
    migrationsDir,
    runner,
    save(files: Files) {
      for (const [file, text] of Object.entries(files)) {
        const path = join(migrationsDir, file)
        mkdirSync(dirname(path), { recursive: true })
        if (text === undefined) rmSync(path)
        else writeFileSync(path, text)
      }
      return Object.keys(files)
    },
    /** Runs, and returns what the terminal shows. */
    async run(files: readonly string[]) {
      shown = ''
      const { failure, changes } = await runner.run(files)
      if (failure !== undefined) report.failed(failure)
      else report.applied({ files, changes, durationMs: 1 })
      return shown.replaceAll('[09:05:07] ', '')
    },
  }
}

test('a mistake is shown once, where it was written', async (t) => {
  const terminal = await createTerminal(t)
  const { migrationsDir } = terminal
  const clean = () => {
    for (const name of ['f.sql', 'g.sql', 'inner.sql', 'a']) {
      rmSync(join(migrationsDir, 'fixtures', name), { recursive: true, force: true })
    }
    terminal.save({ 'current.sql': '' })
  }
  for (const [what, { before = {}, save, shows }] of Object.entries(MISTAKES)) {
    await t.test(what, async (t) => {
      clean()
      await terminal.run(terminal.save(before))
      t.strictSame((await terminal.run(terminal.save(save))).split('\n'), [...shows, ''])
    })
  }
})

test('a lock that another session holds is named, and who holds it', async (t) => {
  const { database, ...terminal } = await createTerminal(t)
  const other = await database.open('other')
  t.teardown(() => other.end())
  await other.query('begin; lock table commandbus.command in access share mode')
  const alter = "alter table commandbus.command alter column domain set default 'shop';\n"

  const shown = await terminal.run(terminal.save({ 'current.sql': alter }))

  const blocker = /pid \d+, application commandbus-db other, idle in transaction, open for \d+ s/
    .source
  const lines = [
    `waiting for a lock: ${blocker}`,
    'error: migrations/current\\.sql:1: canceling statement due to lock timeout \\(55P03\\)',
    `  1 \\| alter table commandbus\\.command alter column domain set default 'shop';`,
    `  detail: blocked by ${blocker}`,
    '',
  ]
  t.match(shown, new RegExp(`^${lines.join('\n')}$`))
})

test('what is not the fault of the file is waited for, or said as it is', async (t) => {
  const { database, ...terminal } = await createTerminal(t)
  const save = (text: string) => terminal.run(terminal.save({ 'current.sql': text }))
  t.match(await save('select 1;\n'), 'no definition changed')

  await t.test('every session is ended, as by a restart', async (t) => {
    await database.pool.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    )
    await until('applied', () =>
      save('select 2;\n').then(
        (shown) => /no definition changed/.test(shown),
        (error) => {
          if (!(error instanceof NotNowError)) throw error
          return false
        },
      ),
    )
    t.pass()
  })

  await t.test('the disk is full', async (t) => {
    const full =
      "do $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$;"
    t.match(
      await save(full),
      /^error: migrations\/current\.sql:1: could not extend file \(53100\)\n/,
    )
  })
})

test('however an editor saves, each text is applied once, the last one in the end', async (t) => {
  const { database, migrationsDir, runner } = await createTerminal(t)
  const stopping = new AbortController()
  const texts: string[] = []
  const runs: string[] = []
  const report: Report = {
    applied: ({ files }) => void runs.push(files.join()),
    failed: ({ message }) => void runs.push(message),
    warned: ({ message }) => void runs.push(message),
    note: () => {},
  }
  const apply: Runner['run'] = async (files) => {
    texts.push(readFileSync(join(migrationsDir, 'current.sql'), 'utf8'))
    return runner.run(files)
  }
  const loop = createLoop({ migrationsDir, apply, report, signal: stopping.signal })
  const watcher = await watchMigrations(migrationsDir, loop.saved)
  t.teardown(async () => {
    stopping.abort()
    await watcher.close()
  })
  await loop.start()
  texts.length = 0
  const path = join(migrationsDir, 'current.sql')
  const define = (result: number, sleep = 0) =>
    `select pg_sleep(${sleep}); create or replace function commandbus.f() returns int return ${result};\n`
  const isLive = (result: number) => async () => {
    const { rows } = await database.pool
      .query('select commandbus.f() as result')
      .catch(() => ({ rows: [] }))
    return rows[0]?.result === result
  }
  const isQuiet = async () => {
    const count = runs.length
    await sleep(400)
    return runs.length === count
  }

  await t.test('fifty times in a second', async (t) => {
    for (let result = 1; result <= 50; result++) {
      writeFileSync(path, define(result))
      await sleep(20)
    }
    await until('the last is live', isLive(50))
    await until('nothing else runs', isQuiet)
    t.ok(texts.length <= 21, `${texts.length} runs: a file has to stay the same for 50 ms`)
    t.equal(texts.at(-1), define(50))
    t.strictSame([...new Set(runs)], ['current.sql'])
  })

  await t.test('by a rename', async (t) => {
    texts.length = 0
    writeFileSync(`${path}.new`, define(60))
    renameSync(`${path}.new`, path)
    await until('it is live', isLive(60))
    await until('nothing else runs', isQuiet)
    t.strictSame(texts, [define(60)])
  })

  await t.test('piece by piece, after the file was emptied', async (t) => {
    texts.length = 0
    writeFileSync(path, '')
    for (const piece of define(70).match(/.{1,30}\n?/gs) ?? []) {
      appendFileSync(path, piece)
      await sleep(10)
    }
    await until('it is live', isLive(70))
    await until('nothing else runs', isQuiet)
    t.strictSame(texts, [define(70)])
  })

  await t.test('while the text before is being applied', async (t) => {
    texts.length = 0
    writeFileSync(path, define(80, 0.5))
    await until('it is being applied', () => texts.length === 1)
    writeFileSync(path, define(81))
    await until('the second is live', isLive(81))
    await until('nothing else runs', isQuiet)
    t.strictSame(texts, [define(80, 0.5), define(81)])
  })

  await t.test('comments alone, also inside a function', async (t) => {
    const body = (comment: string) =>
      `create or replace function commandbus.g() returns int language plpgsql as $$ begin ${comment}\n return 1; end $$;\n`
    writeFileSync(path, body('-- one'))
    await until('it is live', async () => /-- one/.test(await readSource()))
    writeFileSync(path, body('-- two'))
    await until('it is live', async () => /-- two/.test(await readSource()))
    t.pass()
  })

  async function readSource(): Promise<string> {
    const { rows } = await database.pool.query(
      "select string_agg(prosrc, '') as source from pg_proc where proname = 'g'",
    )
    return rows[0]?.source ?? ''
  }
})
