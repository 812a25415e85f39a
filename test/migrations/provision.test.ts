import { randomBytes } from 'node:crypto'
import pg from 'pg'
import pino from 'pino'
import { type Test, test } from 'tap'
import { OPTIONAL_SCHEMA } from '../../src/config/config.ts'
import {
  type ProvisionHooks,
  type ProvisionProgress,
  provision,
} from '../../src/migrations/provision.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'

/** Provisions a database with migrations of these bodies. */
function run(
  t: Test,
  { url, name, pool }: TestDatabase,
  {
    bodies = ['select 1'],
    hooks = {},
    onProgress = () => {},
  }: {
    readonly bodies?: readonly string[]
    readonly hooks?: ProvisionHooks
    readonly onProgress?: (progress: ProvisionProgress) => void
  } = {},
) {
  return provision({
    config: {
      migrationsDir: createMigrationsFolder(t, bodies),
      databaseWaitMs: 5000,
      migrationLockMs: 5000,
      nodeVariables: {},
    },
    database: { url, name, pool },
    optionalSchema: { ...OPTIONAL_SCHEMA, wanted: undefined },
    log: pino({ level: 'silent' }),
    signal: new AbortController().signal,
    onProgress,
    hooks,
  })
}

test('progress is reported migration by migration', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const progress: ProvisionProgress[] = []

  const result = await run(t, database, {
    bodies: ['select 1', 'select 2'],
    onProgress: (step) => progress.push(step),
  })

  t.strictSame(progress, [
    { reason: 'migrating', detail: '2 pending' },
    { reason: 'migrating', detail: 'applying 000001-step-1.sql, 1 of 2' },
    { reason: 'migrating', detail: 'applying 000002-step-2.sql, 2 of 2' },
  ])
  t.equal(result.applied.length, 2)
  t.equal(result.appliedNow.length, 2)
})

test('hooks run in order, even if nothing is pending', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const bodies = ['select 1']
  await run(t, database, { bodies })
  const seen: unknown[] = []
  const progress: ProvisionProgress[] = []

  await run(t, database, {
    bodies,
    onProgress: (step) => progress.push(step),
    hooks: {
      afterLocking: async () => void seen.push('afterLocking'),
      beforeMigrating: async (_, { applied, pending }) =>
        void seen.push(['beforeMigrating', applied.length, pending.length]),
      afterMigrating: async (_, { applied, appliedNow }) =>
        void seen.push(['afterMigrating', applied.length, appliedNow.length]),
    },
  })

  t.strictSame(seen, ['afterLocking', ['beforeMigrating', 1, 0], ['afterMigrating', 1, 0]])
  t.strictSame(progress, [])
})

test("the lock session is free of the role's and the database's time limits", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const { rows: limits } = await database.pool.query<{ name: string }>(
    `select name from pg_settings
      where name in ('statement_timeout', 'lock_timeout', 'transaction_timeout',
                     'idle_session_timeout', 'idle_in_transaction_session_timeout')`,
  )
  t.ok(limits.length >= 4)
  for (const { name } of limits) {
    await database.pool.query(`alter database ${database.name} set ${name} = '1min'`)
  }

  await run(t, database, {
    hooks: {
      afterLocking: async (client) => {
        for (const { name } of limits) {
          const { rows } = await client.query('select current_setting($1) as value', [name])
          t.strictSame(rows, [{ value: '0' }], name)
        }
      },
    },
  })
})

test('a lock session that an administrator terminates is a lost database', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })

  await t.rejects(
    run(t, database, {
      hooks: {
        afterLocking: async (client) =>
          void (await client.query('select pg_terminate_backend(pg_backend_pid())')),
      },
    }),
    { code: 'database_lost', exitCode: 3, cause: { code: '57P01' } },
  )
})

test('a server that runs out of resources is reported with what it lacks', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const raise = `do $$ begin raise 'no space left' using errcode = 'disk_full'; end $$`

  await t.rejects(
    run(t, database, {
      hooks: { afterLocking: async (client) => void (await client.query(raise)) },
    }),
    {
      code: 'database_lost',
      exitCode: 3,
      message: 'the database ran out of resources while provisioning: no space left (53100)',
    },
  )
})

test('an error of the file system is not taken for a lost database', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const failure = Object.assign(new Error('no such file'), { code: 'ENOENT' })

  await t.rejects(
    run(t, database, { hooks: { afterLocking: () => Promise.reject(failure) } }),
    failure,
  )
})

test('a wait for a free connection is reported, and ends when there is one', async (t) => {
  const password = randomBytes(8).toString('hex')
  const role = await createTestRole(t, `login password '${password}' connection limit 1`)
  const database = await createTestDatabase(t, { from: 'empty' })
  const url = new URL(database.url)
  url.username = role
  url.password = password
  const occupant = new pg.Client({ connectionString: url.href })
  await occupant.connect()
  const progress: ProvisionProgress[] = []
  const connected = new Error('connected')

  await t.rejects(
    run(
      t,
      { ...database, url: url.href },
      {
        onProgress: (step) => {
          progress.push(step)
          void occupant.end()
        },
        hooks: { afterLocking: () => Promise.reject(connected) },
      },
    ),
    connected,
  )

  t.match(progress, [
    { reason: 'waiting_for_database', detail: /^waiting for a connection .*\(53300\)$/ },
  ])
  t.equal(progress.length, 1)
})

test('a missing privilege is reported as such', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })

  await t.rejects(
    run(t, database, {
      hooks: {
        afterLocking: async (client) =>
          void (await client.query(`do $$ begin raise 'denied' using errcode = '42501'; end $$`)),
      },
    }),
    { code: 'privilege_missing', exitCode: 4, message: /^denied \(42501\); / },
  )
})

test('any other error of a statement is passed on unchanged', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })

  await t.rejects(
    run(t, database, {
      hooks: {
        afterLocking: async (client) =>
          void (await client.query(`set statement_timeout = '10ms'; select pg_sleep(60)`)),
      },
    }),
    { name: 'error', code: '57014' },
  )
})
