// What the terminal shows of twenty mistakes, from the save on: the error once, where it was written.
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { createLoop } from '../../../dev/loop/loop.ts'
import { NotNowError } from '../../../dev/loop/not-now.ts'
import type { Report } from '../../../dev/loop/report.ts'
import type { Runner } from '../../../dev/loop/run.ts'
import { watchMigrations } from '../../../dev/loop/watcher.ts'
import { until } from '../project.ts'
import { type Files, MISTAKES } from './mistakes.ts'
import { createRecordedDatabase, createTerminal } from './terminal.ts'

async function open(t: Test) {
  const database = await createRecordedDatabase(t)
  const terminal = createTerminal(t, { url: database.url, lockTimeoutMs: 500 })
  const { migrationsDir, runner, report } = terminal
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
      terminal.takeShown()
      const { failure, changes } = await runner.run(files)
      if (failure !== undefined) report.failed(failure)
      else report.applied({ files, changes, durationMs: 1 })
      return terminal.takeShown().replaceAll('[09:05:07] ', '')
    },
  }
}

test('a mistake is shown once, where it was written', async (t) => {
  const terminal = await open(t)
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
  const { database, ...terminal } = await open(t)
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
  const { database, ...terminal } = await open(t)
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
  const { database, migrationsDir, runner } = await open(t)
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
