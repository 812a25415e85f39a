import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'

const BODIES = [
  'create schema one;',
  `do $$ begin raise notice 'adopted % rows', 7; end $$; create table one.t (id int);`,
  'create function one.f() returns int language sql as $$ select 1 $$;',
]

test('the service migrates an empty database, logs each migration and is ready', async (t) => {
  const { url, name } = await createTestDatabase(t, { from: 'empty' })
  const service = startService(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
  })

  await service.waitForReady()

  const applied = service.log().filter(({ msg }) => msg === 'migration applied')
  t.match(applied, [
    { migration: '000001-step-1.sql', progress: '1 of 3', durationMs: Number },
    { migration: '000002-step-2.sql', progress: '2 of 3', durationMs: Number },
    { migration: '000003-step-3.sql', progress: '3 of 3', durationMs: Number },
  ])
  t.match(
    service.log().find(({ notice }) => notice !== undefined),
    { migration: '000002-step-2.sql', notice: 'adopted 7 rows' },
    'notices of a migration are logged',
  )
  const { status, body } = await service.get('/status')
  t.equal(status, 200)
  t.match(body, {
    service: { name: 'commandbus-db', version: String, startedAt: String, uptimeSeconds: Number },
    state: 'ready',
    database: { kind: 'given', host: '127.0.0.1', name, serverVersion: String, pgmq: null },
    migrations: {
      applied: [{ filename: '000001-step-1.sql', name: 'step-1', message: 'step' }, {}, {}],
      pending: [],
      current: { empty: true },
    },
    schemas: { one: { tables: ['t'], functions: ['f'] } },
    reset: { enabled: false, allowedHere: false, count: 0 },
  })
  t.strictSame(Object.keys(body.schemas), ['one'])
  t.match(await service.stop(), { code: 0 })
})

test('the migration tool does not run if nothing is pending', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'migrated' })
  const service = startService(t, { DATABASE_URL: url, LOG_LEVEL: 'debug' })

  await service.waitForReady()

  t.match(await service.waitForLog('ready'), { appliedNow: 0 })
  t.notMatch(service.output(), 'migration tool')
  t.match((await service.get('/status')).body.migrations, { pending: [] })
})

test("PostgreSQL's own environment variables are ignored", async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const service = startService(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
    PGHOST: '203.0.113.1',
    PGPORT: '1',
    PGUSER: 'nobody',
    PGPASSWORD: 'wrong',
    PGDATABASE: 'nowhere',
    PGSSLMODE: 'require',
    PGOPTIONS: '-c default_transaction_read_only=on',
  })

  await service.waitForReady()

  t.match((await service.get('/status')).body.migrations.pending, [])
})

test('no output contains a password or token', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  const password = `s3cret-${name}`
  await pool.query(`create role ${name} login superuser password '${password}'`)
  t.teardown(() => pool.query(`drop role ${name}`).catch(() => {}))
  const secretUrl = url.replace('postgres@', `${name}:${password}@`)
  const token = 'a-token-nobody-may-see'
  const service = startService(t, {
    DATABASE_URL: secretUrl,
    RESET_ENABLED: 'true',
    RESET_TOKEN: token,
    LOG_LEVEL: 'trace',
    ON_MIGRATION_FAILURE: 'stay',
    // The worst that a migration can do: it prints the password, and then fails with the URL.
    MIGRATIONS_DIR: createMigrationsFolder(t, [
      `do $$ begin raise warning '${password}'; raise exception '${secretUrl}'; end $$;`,
    ]),
  })

  const { body } = await service.waitForReason('migration_failed')
  const status = await service.get('/status')
  await service.stop()

  for (const secret of [password, token, secretUrl]) {
    t.notMatch(service.output(), secret)
    t.notMatch(JSON.stringify([body, status.body]), secret)
  }
})

test('E2E_SCHEMA counts once; a later change is ignored, and the status says so', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const MIGRATIONS_DIR = createMigrationsFolder(t, [
    'create schema one;',
    `do $$ begin if ':E2E_SCHEMA' = 'on' then create schema e2e; end if; end $$;`,
  ])
  const start = async (env: Record<string, string>) => {
    const service = startService(t, { DATABASE_URL: url, MIGRATIONS_DIR, ...env })
    await service.waitForReady()
    const { body } = await service.get('/status')
    await service.stop()
    return { detail: body.detail, schemas: Object.keys(body.schemas), output: service.output() }
  }

  t.match(await start({ E2E_SCHEMA: 'off' }), { detail: null, schemas: ['one'] })
  t.match(await start({}), { detail: null, schemas: ['one'] })
  const later = await start({ E2E_SCHEMA: 'on' })
  t.match(later, { detail: /E2E_SCHEMA/, schemas: ['one'] })
  t.match(later.output, later.detail)
})
