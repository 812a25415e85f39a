// What the next command does after one was killed.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { complete, recover } from '../../../dev/commit/files/complete.ts'
import { type Journal, makeChanges, writeJournal } from '../../../dev/commit/files/journal.ts'
import type { CommandRun } from '../../../dev/tool.ts'
import { createFolder } from '../../support/migrations-folder.ts'
import { createTestDatabase } from '../../support/postgres.ts'

const HASH = 'sha1:0123'
const text = (value: string) => Buffer.from(value)
const JOURNAL: Journal = {
  command: 'db:commit',
  hash: HASH,
  changes: [
    { path: 'migrations/committed/000003-x.sql', before: undefined, after: text('three\n') },
    { path: 'migrations/current.sql', before: text('old\n'), after: text('\n') },
    { path: 'schema/gone.sql', before: text('gone \xff\n'), after: undefined },
  ],
}
const BEFORE = { 'migrations/current.sql': 'old\n', 'schema/gone.sql': 'gone \xff\n' }
const AFTER = { 'migrations/committed/000003-x.sql': 'three\n', 'migrations/current.sql': '\n' }

test('a commit whose migration the database has is completed, however far it got', async (t) => {
  for (const made of [0, 1, 2, 3]) {
    const { run, dir, read } = await open(t, [HASH])
    writeJournal(run.config.migrationsDir, JOURNAL)
    makeChanges(join(dir, 'migrations'), JOURNAL.changes.slice(0, made))

    const said = await recover(run)

    t.match(
      said,
      /^the last db:commit was killed; completed it: migrations\/committed\/000003-x\.sql, /,
    )
    t.strictSame(read(), AFTER)
    t.equal(await recover(run), undefined, 'once')
  }
})

test('a commit whose migration the database does not have has changed nothing', async (t) => {
  const { run, read } = await open(t, [])
  writeJournal(run.config.migrationsDir, JOURNAL)

  t.equal(await recover(run), 'the last db:commit was killed before it changed anything')
  t.strictSame(read(), BEFORE)
})

test('an uncommit is completed where the database does not have the migration any more', async (t) => {
  for (const [hashes, expected] of [
    [[], AFTER],
    [[HASH], BEFORE],
  ] as const) {
    const { run, read } = await open(t, hashes)
    writeJournal(run.config.migrationsDir, { ...JOURNAL, command: 'db:uncommit' })
    await recover(run)
    t.strictSame(read(), expected)
  }
})

test('a file that was saved meanwhile is left as it is, and named', async (t) => {
  const { run, dir, read } = await open(t, [HASH])
  writeJournal(run.config.migrationsDir, JOURNAL)
  writeFileSync(join(dir, 'migrations/current.sql'), 'mine\n')

  await t.rejects(recover(run), {
    code: 'migrations_changed',
    message: /db:commit succeeded, but migrations\/current\.sql changed in the meantime/,
  })
  t.strictSame(read(), { ...AFTER, 'migrations/current.sql': 'mine\n' })
})

test('a database that fails leaves no journal; one that has the migration all the same completes it', async (t) => {
  const { run, read, add } = await open(t, [])
  const lost = new Error('Connection terminated unexpectedly')

  await t.rejects(
    complete(run, JOURNAL, () => Promise.reject(lost)),
    lost,
  )
  t.strictSame(read(), BEFORE)
  await complete(run, JOURNAL, async () => {
    await add(HASH)
    throw lost
  })
  t.strictSame(read(), AFTER)
})

/** A project before the commit, and a database with these migrations in its history. */
async function open(t: Test, hashes: readonly string[]) {
  const dir = createFolder(t)
  mkdirSync(join(dir, 'migrations'))
  mkdirSync(join(dir, 'schema'))
  for (const [path, content] of Object.entries(BEFORE)) writeFileSync(join(dir, path), content)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create schema graphile_migrate create table migrations (hash text)')
  const add = (hash: string) =>
    pool.query('insert into graphile_migrate.migrations values ($1)', [hash])
  for (const hash of hashes) await add(hash)
  const run = {
    config: { migrationsDir: join(dir, 'migrations') },
    database: { url },
  } as CommandRun
  const read = () =>
    Object.fromEntries(
      readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
        .map((path) => [path.slice(dir.length + 1), readFileSync(path, 'utf8')]),
    )
  return { run, dir, read, add }
}
