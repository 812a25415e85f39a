import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import pino, { type Logger } from 'pino'
import { type Test, test } from 'tap'
import { OPTIONAL_SCHEMA } from '../../src/config/config.ts'
import { LearnedSecrets } from '../../src/config/learned-secrets.ts'
import {
  type ProvisionHooks,
  type ProvisionProgress,
  provision,
} from '../../src/migrations/provision.ts'
import { openClient } from '../../src/postgres/client.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts'
import { openProxy } from '../support/proxy.ts'
import { createTestRole } from '../support/roles.ts'
import { until } from '../support/until.ts'

/** Provisions a database with migrations of these bodies. */
function run(
  t: Test,
  { url, name, pool }: TestDatabase,
  {
    bodies = ['select 1'],
    gmrc,
    hooks = {},
    onProgress = () => {},
    log = pino({ level: 'silent' }),
  }: {
    readonly bodies?: readonly string[]
    /** The content of a `.gmrc` in the migrations folder. */
    readonly gmrc?: object
    readonly hooks?: ProvisionHooks
    readonly onProgress?: (progress: ProvisionProgress) => void
    readonly log?: Logger
  } = {},
) {
  const migrationsDir = createMigrationsFolder(t, bodies)
  if (gmrc !== undefined) writeFileSync(join(migrationsDir, '.gmrc'), JSON.stringify(gmrc))
  return provision({
    config: {
      migrationsDir,
      databaseWaitMs: 5000,
      migrationLockMs: 5000,
      lockTimeoutMs: 2000,
      lockRetryMs: 5000,
      whenAhead: 'refuse',
      placeholderVariables: {},
      secrets: new LearnedSecrets(),
    },
    database: { url, name, pool, open: (purpose) => openClient(url, purpose) },
    optionalSchema: { ...OPTIONAL_SCHEMA, wanted: undefined },
    log,
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

test('a hook runs while migrations do, and nobody waits for it', async (t) => {
  for (const outcome of ['fails', 'never ends'] as const) {
    const database = await createTestDatabase(t, { from: 'empty' })
    const seen: unknown[] = []

    const { applied } = await run(t, database, {
      bodies: ['select 1', 'select 2'],
      hooks: {
        beforeMigrating: async () => void seen.push('before'),
        async whileMigrating(client, { isLast }) {
          await client.query('select')
          seen.push(isLast ? 'while the last' : 'while')
          if (outcome === 'never ends') await new Promise(() => {})
          throw new Error('it does not matter')
        },
        afterMigrating: async () => void seen.push('after'),
      },
    })

    t.strictSame(seen, ['before', 'while', 'while the last', 'after'], outcome)
    t.equal(applied.length, 2)
  }
})

test("the service's placeholders win over those of .gmrc, pgSettings of .gmrc over its own", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })

  await run(t, database, {
    bodies: [
      `create table result as
       select ':DATABASE_NAME' as name, ':DATABASE_OWNER' as owner, ':E2E_SCHEMA' as schema,
              ':OWN' as own, current_setting('client_connection_check_interval') as interval`,
    ],
    gmrc: {
      databaseOwner: 'the owner',
      placeholders: { ':OWN': 'own', ':E2E_SCHEMA': 'off', ':DATABASE_NAME': 'other' },
      pgSettings: { client_connection_check_interval: '0' },
    },
  })

  const { rows } = await database.pool.query('select * from result')
  t.strictSame(rows, [
    { name: database.name, owner: 'the owner', schema: 'on', own: 'own', interval: '0' },
  ])
})

test('without .gmrc, the owner is the user, whose session notices a lost client', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const { rows: expected } = await database.pool.query('select current_user::text as owner')

  await run(t, database, {
    bodies: [
      `create table owners as select ':DATABASE_OWNER' as owner;
       create table intervals as
       select current_setting('client_connection_check_interval') as interval;`,
    ],
  })

  t.strictSame((await database.pool.query('select * from owners')).rows, expected)
  // PostgreSQL supports the setting on Linux only.
  const interval = process.platform === 'linux' ? '250ms' : '0'
  t.strictSame((await database.pool.query('select * from intervals')).rows, [{ interval }])
})

test('a failure after placeholders of the tool itself shows the right line', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const bodies = [`select ':DATABASE_NAME', ':DATABASE_OWNER';\nmissing;\nselect 1;\nselect 2;`]
  const gmrc = { databaseOwner: 'an owner whose name is longer than the placeholder' }

  await t.rejects(run(t, database, { bodies, gmrc }), {
    code: 'migration_failed',
    extensions: { line: 6, text: /^missing;$/ },
  })
})

test('a migration that the history lacks afterwards is an error', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const body = `
    create function discard() returns trigger language plpgsql as 'begin return null; end';
    create trigger discard before insert on graphile_migrate.migrations
      for each row execute function discard();`

  await t.rejects(run(t, database, { bodies: [body] }), {
    code: 'migration_not_applied',
    exitCode: 4,
    message: /did not apply 000001-step-1\.sql$/,
  })
})

test('the tool is started again once its lock is released', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const elsewhere = await database.pool.connect()
  const waits: string[] = []

  const result = await run(t, database, {
    onProgress: ({ reason, detail }) => {
      if (reason !== 'waiting_for_lock') return
      waits.push(detail)
      void elsewhere.query('select pg_advisory_unlock_all()')
    },
    hooks: {
      beforeMigrating: async () =>
        void (await elsewhere.query('select pg_advisory_lock(4727445306447283)')),
    },
  })
  elsewhere.release()

  t.equal(result.applied.length, 1)
  t.match(waits, [/^waiting for graphile-migrate's own lock: held by pid/])
})

test('what a start waits for is logged when it changes, not each time that it is looked at', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const elsewhere = await database.pool.connect()
  let looks = 0
  const lines: string[] = []
  const log = pino({}, { write: (line) => void lines.push(JSON.parse(line).msg) })

  await run(t, database, {
    log,
    onProgress({ reason }) {
      if (reason !== 'waiting_for_lock') return
      looks++
      if (looks === 2) void elsewhere.query('select pg_advisory_unlock_all()')
    },
    hooks: {
      beforeMigrating: async () =>
        void (await elsewhere.query('select pg_advisory_lock(4727445306447283)')),
    },
  })
  elsewhere.release()

  t.equal(looks, 2)
  t.strictSame(
    lines.filter((line) => line.startsWith('waiting')),
    ['waiting for the migration lock'],
  )
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
          // Its own waits for locks are short, and repeated.
          t.strictSame(rows, [{ value: name === 'lock_timeout' ? '1s' : '0' }], name)
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
      code: 'out_of_resources',
      exitCode: 3,
      message:
        /^the database ran out of resources while provisioning: no space left \(53100\); free /,
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

/** How many sessions of the migration tool the database has. */
async function countToolSessions({ pool }: TestDatabase): Promise<number> {
  const { rows } = await pool.query(
    `select count(*)::int as count from pg_stat_activity
      where datname = current_database() and application_name like 'commandbus-db migration %'`,
  )
  return rows[0].count
}

test('where nothing is pending, the migration tool does not connect', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const connectionsOfRun = async () => {
    const proxy = await openProxy(t, database.url)
    await run(t, { ...database, url: proxy.url })
    return proxy.connections
  }

  t.equal(await connectionsOfRun(), 2)
  t.equal(await connectionsOfRun(), 1)
})

test('the migration tool prepares itself while the first migration waits for a hook', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const exists = async (name: string) => {
    const { rows } = await database.pool.query('select to_regclass($1) is not null as found', [
      name,
    ])
    return rows[0].found
  }
  const seen: boolean[] = []
  const beforeFirstFile = async () => {
    await until('the history is there', () => exists('graphile_migrate.migrations'))
    seen.push(await exists('public.done'))
  }

  await run(t, database, {
    bodies: ['create table done ();', 'select 1'],
    hooks: { beforeFirstFile },
  })

  t.strictSame(seen, [false], 'once, before the first migration')
  t.ok(await exists('public.done'))
})

test('the first migration runs beside a hook that its commit waits for', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const isThere = async () => {
    const { rows } = await database.pool.query(
      `select to_regclass('public.done') is not null as found`,
    )
    return rows[0].found
  }
  const seen: boolean[] = []
  const beforeFirstCommit = async () => {
    await until('the migration has run', async () => {
      const { rows } = await database.pool.query(
        `select from pg_stat_activity
          where datname = current_database() and state = 'idle in transaction'
            and query like '%create table done ()%'`,
      )
      return rows.length === 1
    })
    seen.push(await isThere())
  }

  await run(t, database, {
    bodies: ['create table done ();', 'select 1'],
    hooks: { beforeFirstCommit },
  })

  t.strictSame(seen, [false], 'once, before the first commit')
  t.ok(await isThere())
})

test('a migration that commits by itself does not begin before that hook has ended', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  let isRunning = false
  const seen: boolean[] = []
  const beforeFirstCommit = async () => {
    await until('the tool runs the migration', () => isRunning)
    // A migration that was sent now would be there after a few more round trips.
    for (let look = 0; look < 5; look++) {
      const { rows } = await database.pool.query(`select to_regclass('public.done') as done`)
      seen.push(rows[0].done !== null)
    }
  }

  await run(t, database, {
    bodies: ['--! no-transaction\ncreate table done ();'],
    hooks: { beforeFirstCommit },
    onProgress: ({ detail }) => {
      isRunning ||= detail.startsWith('applying 000001')
    },
  })

  t.strictSame(seen, Array(5).fill(false))
  const { rows } = await database.pool.query(`select to_regclass('public.done')::text as done`)
  t.strictSame(rows, [{ done: 'done' }])
})

test('what comes later is prepared while the first migration runs, and not waited for', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const holder = await database.open('test')
  t.teardown(() => holder.end())
  await holder.query('select pg_advisory_lock(1)')
  const calls: boolean[] = []
  const whileMigrating = async (_client: unknown, { isLast }: { readonly isLast: boolean }) => {
    calls.push(isLast)
    if (isLast) return
    await until('the migration runs', async () => {
      const { rows } = await database.pool.query(
        `select from pg_stat_activity
          where datname = current_database() and query like '%pg_advisory_xact_lock(1)%'
            and wait_event_type = 'Lock'`,
      )
      return rows.length === 1
    })
    await holder.query('select pg_advisory_unlock(1)')
    await new Promise(() => {})
  }

  await run(t, database, {
    bodies: ['select pg_advisory_xact_lock(1)', 'select 2'],
    hooks: { whileMigrating },
  })

  t.strictSame(calls, [false, true], 'for each migration')
})

test('nothing is committed where that hook has failed', async (t) => {
  for (const header of ['', '--! no-transaction\n']) {
    const database = await createTestDatabase(t, { from: 'empty' })
    const beforeFirstCommit = async () => {
      throw new Error('not today')
    }

    await t.rejects(
      run(t, database, {
        bodies: [`${header}create table done ();`],
        hooks: { beforeFirstCommit },
      }),
      { message: 'not today' },
    )

    const { rows } = await database.pool.query(
      `select to_regclass('public.done') as done, count(*)::int as applied from graphile_migrate.migrations`,
    )
    t.strictSame(rows, [{ done: null, applied: 0 }], header)
    await until('the tool has ended', async () => (await countToolSessions(database)) === 0)
  }
})

test('the sessions of the migration tool have ended when the database is provisioned', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  await run(t, database, { bodies: ['select 1', `set my.setting = 'x';`, 'select 3'] })
  t.equal(await countToolSessions(database), 0)
})

test('no migration runs after a hook before it has failed', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const beforeFirstFile = async () => {
    throw new Error('not today')
  }

  await t.rejects(
    run(t, database, { bodies: ['create table done ();'], hooks: { beforeFirstFile } }),
    {
      message: 'not today',
    },
  )

  const { rows } = await database.pool.query(`select to_regclass('public.done') as done`)
  t.strictSame(rows, [{ done: null }])
  await until('the tool has ended', async () => (await countToolSessions(database)) === 0)
})

test('the migration tool does not outlive what fails before it has its job', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const beforeMigrating = async () => {
    await until('it has connected', async () => (await countToolSessions(database)) === 1)
    throw new Error('not today')
  }

  await t.rejects(run(t, database, { hooks: { beforeMigrating } }), { message: 'not today' })

  await until('it has ended', async () => (await countToolSessions(database)) === 0)
})
