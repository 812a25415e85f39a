import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { becomes } from '../support/becomes.ts'
import {
  createFolder,
  createMigrationsFolder,
  writeCommitted,
} from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { type LogLine, type Service, startService } from '../support/service.ts'

const BODIES = ['create schema one;', 'create table one.t ();', 'create table one.u ();']

/** Waits until the service has ended; returns its exit code and its last error. */
async function waitForFailure(
  service: Service,
): Promise<{ code: number | null; err: LogLine['err'] }> {
  const { code } = await service.ended
  return { code, err: service.log().find(({ level }) => level === 'fatal')?.err }
}

async function migrate(t: Test, env: Record<string, string>): Promise<void> {
  const service = startService(t, env)
  await service.waitForReady()
  await service.stop()
}

test('wrong settings end the service with 2, and the error names them all', async (t) => {
  const service = startService(t, {
    PORT: 'http',
    LOG_LEVEL: 'loud',
    DATABASE_URL: 'mysql://user:a-password@db/x',
  })

  const { code, err } = await waitForFailure(service)

  t.equal(code, 2)
  t.match(err, { code: 'wrong_settings' })
  for (const name of ['PORT', 'LOG_LEVEL', 'DATABASE_URL']) t.match(service.output(), name)
  t.notMatch(service.output(), 'a-password')
})

test('a port in use ends the service with 2', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve))
  t.teardown(() => holder.close())
  const { port } = holder.address() as { port: number }

  const ending = await waitForFailure(
    startService(t, { PORT: String(port), DATABASE_URL: 'postgres://u@127.0.0.1:1/d' }),
  )

  t.match(ending, { code: 2, err: { code: 'address_not_available' } })
})

test('a missing migrations folder ends the service with 2', async (t) => {
  const MIGRATIONS_DIR = createFolder(t)

  const ending = await waitForFailure(startService(t, { MIGRATIONS_DIR }))

  t.match(ending, { code: 2, err: { code: 'wrong_settings' } })
})

const BROKEN_FOLDERS: Record<string, (folder: string) => void> = {
  'an empty folder': (folder) => {
    for (const number of [1, 2, 3]) rmSync(fileOf(folder, number))
  },
  'a database that is ahead': (folder) => {
    for (const number of [2, 3]) rmSync(fileOf(folder, number))
  },
  'a changed byte': (folder) => appendFileSync(fileOf(folder, 2), '-- one byte more'),
  'a different history': (folder) => writeCommitted(folder, ['select 1;', ...BODIES.slice(1)]),
  'a stray file': (folder) => writeFileSync(join(folder, 'committed', 'notes.txt'), ''),
  'CRLF line ends': (folder) => {
    const text = readFileSync(fileOf(folder, 2), 'utf8')
    writeFileSync(fileOf(folder, 2), text.replaceAll('\n', '\r\n'))
  },
  'a gap': (folder) => rmSync(fileOf(folder, 2)),
}

function fileOf(folder: string, number: number): string {
  return join(folder, 'committed', `00000${number}-step-${number}.sql`)
}

test('files that do not match the history end the service with 5, and nothing runs', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await migrate(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES.slice(0, 2)),
  })

  await Promise.all(
    Object.entries(BROKEN_FOLDERS).map(async ([what, breakFolder]) => {
      const folder = createMigrationsFolder(t, BODIES)
      breakFolder(folder)
      const ending = await waitForFailure(
        startService(t, { DATABASE_URL: url, MIGRATIONS_DIR: folder }),
      )
      t.match(ending, { code: 5, err: { code: /^(history_refused|no_migrations)$/ } }, what)
    }),
  )

  const { rows } = await pool.query('select filename from graphile_migrate.migrations')
  t.equal(rows.length, 2)
})

test('SQL that fails in the second of three migrations ends the service with 4; the first stays', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const MIGRATIONS_DIR = createMigrationsFolder(t, [
    'create schema one;',
    'create table one.t (id int);\n\n-- ünï 😀 :DATABASE_NAME\nselect missing from one.t;',
    'create table one.u ();',
  ])

  const { code, err } = await waitForFailure(startService(t, { DATABASE_URL: url, MIGRATIONS_DIR }))

  t.equal(code, 4)
  t.match(err, {
    code: 'migration_failed',
    migration: '000002-step-2.sql',
    line: 8,
    text: 'select missing from one.t;',
    sqlstate: '42703',
  })
  const { rows } = await pool.query(
    `select filename, to_regclass('one.t') as "table" from graphile_migrate.migrations`,
  )
  t.strictSame(rows, [{ filename: '000001.sql', table: null }])
})

test('an error without a position shows its detail and the failing statement', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const MIGRATIONS_DIR = createMigrationsFolder(t, [
    `create table t (id int primary key);
     insert into t values (1);

     insert into t values (1);
     select 1;`,
  ])

  const { code, err } = await waitForFailure(startService(t, { DATABASE_URL: url, MIGRATIONS_DIR }))

  t.equal(code, 4)
  t.match(err, {
    sqlstate: '23505',
    postgresDetail: /id/,
    line: 8,
    text: 'insert into t values (1);',
  })
  t.notMatch(JSON.stringify(err), 'nbtinsert.c', "never PostgreSQL's own source file")
})

test('a user that may not create schemas ends the service with 4, and nothing changes', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`create role ${name} login`)
  t.teardown(() => pool.query(`drop role ${name}`).catch(() => {}))

  const ending = await waitForFailure(
    startService(t, {
      DATABASE_URL: url.replace('postgres@', `${name}@`),
      MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
    }),
  )

  t.match(ending, { code: 4, err: { code: 'privilege_missing', sqlstate: '42501' } })
  const { rows } = await pool.query(`select to_regnamespace('graphile_migrate') as found`)
  t.strictSame(rows, [{ found: null }])
})

test('an unusable database ends the service with 3', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  const readOnly = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`alter database ${readOnly.name} set default_transaction_read_only = on`)
  const urls = {
    'no such database': url.replace(name, 'no_such_database'),
    'no such user': url.replace('postgres@', 'no_such_user@'),
    'read-only': readOnly.url,
    'no server': 'postgres://u@127.0.0.1:1/d',
  }

  await Promise.all(
    Object.entries(urls).map(async ([what, DATABASE_URL]) => {
      const ending = await waitForFailure(
        startService(t, {
          DATABASE_URL,
          DATABASE_WAIT_SECONDS: '1',
          MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
        }),
      )
      t.match(ending, { code: 3, err: { code: /^database_/ } }, what)
    }),
  )
})

test('with ON_MIGRATION_FAILURE=stay the service stays up and reports the reason', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const stay = { DATABASE_URL: url, ON_MIGRATION_FAILURE: 'stay' }
  const failing = startService(t, {
    ...stay,
    MIGRATIONS_DIR: createMigrationsFolder(t, ['create schema one;', 'select 1/0;']),
  })
  await failing.waitForReason('migration_failed')

  const refusing = startService(t, {
    ...stay,
    MIGRATIONS_DIR: createMigrationsFolder(t, ['select 1;']),
  })
  await refusing.waitForReason('history_refused')

  t.match((await failing.get('/status')).body, {
    state: 'migration_failed',
    detail: /22012/,
    migrations: { applied: [{ name: 'step-1' }], pending: [{ name: 'step-2' }] },
  })
  t.match((await refusing.get('/status')).body, { state: 'history_refused', detail: /000001/ })
  t.equal((await failing.get('/livez')).status, 200)
  t.match(await Promise.all([failing.stop(), refusing.stop()]), [{ code: 0 }, { code: 0 }])
})

test('with ON_MIGRATION_FAILURE=stay the service also stays up after a lock timeout', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const holder = await pool.connect()
  t.teardown(async () => holder.release(true))
  // graphile-migrate's own.
  await holder.query('select pg_advisory_lock(4727445306447283)')

  const service = startService(t, {
    DATABASE_URL: url,
    ON_MIGRATION_FAILURE: 'stay',
    MIGRATION_LOCK_SECONDS: '0',
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
  })
  await becomes(t, async () => service.log().some(({ level }) => level === 'error'), true)

  t.match(await service.get('/readyz'), {
    status: 503,
    body: { reason: 'waiting_for_lock', detail: /MIGRATION_LOCK_SECONDS/ },
  })
  t.match(await service.stop(), { code: 0 })
})
