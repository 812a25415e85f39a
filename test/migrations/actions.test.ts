// SQL of `.gmrc` before and after all migrations.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { type Test, test } from 'tap'
import { OPTIONAL_SCHEMA } from '../../src/config/config.ts'
import { LearnedSecrets } from '../../src/config/learned-secrets.ts'
import { provision } from '../../src/migrations/provision.ts'
import { createMigrationsFolder, writeCommitted } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'

const BEFORE = 'before.sql'
const AFTER = 'after.sql'

/** Migrations with an action before and one after, and a database to provision with them. */
async function createProject(
  t: Test,
  bodies: readonly string[],
  pgSettings: Record<string, string> = { search_path: 'log, public' },
) {
  const database = await createTestDatabase(t, { from: 'empty' })
  const migrationsDir = createMigrationsFolder(t, bodies)
  const writeAction = (file: string, sql: string) => writeFileSync(join(migrationsDir, file), sql)
  const content = {
    beforeAllMigrations: BEFORE,
    afterAllMigrations: [AFTER, { _: 'command', command: 'exit 1', shadow: true }],
    placeholders: { ':APP_SECRET': '!ENV' },
    pgSettings,
  }
  writeFileSync(join(migrationsDir, '.gmrc'), JSON.stringify(content))
  writeAction(
    BEFORE,
    "create schema if not exists log; create table if not exists entry (word text); insert into entry values ('before');",
  )
  writeAction(AFTER, "insert into entry values (':APP_SECRET');")
  const secrets = new LearnedSecrets()
  return {
    secrets,
    writeAction,
    addMigration: (sql: string) => writeCommitted(migrationsDir, [...bodies, sql]),
    run: () =>
      provision({
        config: {
          migrationsDir,
          databaseWaitMs: 5000,
          migrationLockMs: 5000,
          lockTimeoutMs: 2000,
          lockRetryMs: 5000,
          whenAhead: 'refuse',
          placeholderVariables: { APP_SECRET: 'after' },
          secrets,
        },
        database,
        optionalSchema: { ...OPTIONAL_SCHEMA, wanted: undefined },
        log: pino({ level: 'silent' }),
        signal: new AbortController().signal,
        onProgress() {},
      }),
    async readEntries() {
      const { rows } = await database.pool.query('select word from log.entry')
      return rows.map(({ word }) => word).join(' ')
    },
  }
}

test('actions run once a start in which something is applied', async (t) => {
  const project = await createProject(t, [
    "insert into entry values ('first')",
    "insert into entry values ('second')",
  ])

  await project.run()
  t.equal(await project.readEntries(), 'before first second after')
  t.strictSame([...project.secrets], ['after'], 'the value of a secret placeholder is masked')

  await project.run()
  t.equal(await project.readEntries(), 'before first second after', 'nothing was pending')

  project.addMigration("insert into entry values ('third')")
  await project.run()
  t.equal(await project.readEntries(), 'before first second after before third after')
})

test('an action before all migrations that fails stops the start before anything is applied', async (t) => {
  const project = await createProject(t, ['create table log.applied ()'])
  project.writeAction(BEFORE, "select 'ü';\nselect missing\n  from pg_class;")

  await t.rejects(project.run(), {
    code: 'action_failed',
    exitCode: 4,
    message:
      'beforeAllMigrations: before.sql failed: column "missing" does not exist (42703); ' +
      'line 2: select missing; no migration was run',
    extensions: { hook: 'beforeAllMigrations', file: BEFORE, line: 2, sqlstate: '42703' },
  })
  await t.rejects(project.readEntries(), /does not exist/)
})

test('an action after all migrations that fails is not taken for the last migration', async (t) => {
  const project = await createProject(t, ['select 1'])
  project.writeAction(AFTER, 'insert into entry values (1, 2);')

  await t.rejects(project.run(), {
    code: 'action_failed',
    message: /^afterAllMigrations: after\.sql failed: .*; the migrations stay applied, /,
  })
  t.equal(await project.readEntries(), 'before')
})

test('an action that leaves its transaction open has failed', async (t) => {
  const project = await createProject(t, ['select 1'])
  project.writeAction(AFTER, "begin; insert into entry values ('lost');")

  await t.rejects(project.run(), {
    code: 'action_failed',
    message: /it begins a transaction and does not end it/,
  })
  t.equal(await project.readEntries(), 'before')
})

test('a setting that PostgreSQL does not know is a wrong setting, and no action runs', async (t) => {
  const { run } = await createProject(t, ['select 1;'], { no_such_setting: '1' })

  await t.rejects(run(), { exitCode: 2, message: /\.gmrc, pgSettings, no_such_setting/ })
})
