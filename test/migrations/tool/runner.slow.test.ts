import pino from 'pino'
import { test } from 'tap'
import { runTool, ToolLockBusyError } from '../../../src/migrations/tool/runner.ts'
import { becomes } from '../../support/becomes.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { describeRun } from '../../support/tool-run.ts'

test('each migration that starts is reported', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const started: string[] = []

  await runTool({
    ...(await describeRun(t, database, ['select 1;', 'select 2;'])),
    onMigration: (detail) => started.push(detail),
  })

  t.strictSame(started, ['000001-step-1.sql, 1 of 2', '000002-step-2.sql, 2 of 2'])
})

test("graphile-migrate's own lock, held by another session, has an error of its own", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const holder = await database.pool.connect()
  await holder.query('select pg_advisory_lock(4727445306447283)')

  const error = await runTool(await describeRun(t, database, ['select 1;'])).catch((cause) => cause)

  t.type(error, ToolLockBusyError)
  holder.release(true)
})

test('pgSettings and placeholders reach the migrations', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })

  await runTool({
    ...(await describeRun(t, database, [
      `create table result as select ':NAME' as name, current_setting('search_path') as path;`,
    ])),
    settings: {
      placeholders: { ':NAME': 'value' },
      pgSettings: { search_path: 'public, pg_temp' },
    },
  })

  const { rows } = await database.pool.query('select * from result')
  t.strictSame(rows, [{ name: 'value', path: 'public, pg_temp' }])
})

test('a stop ends a migration that traps the cancel and has another application name', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const stopping = new AbortController()
  const reason = new Error('stopping')
  const body = `set application_name = 'another name';
  do $$ begin
    loop
      begin
        perform pg_sleep(3600);
      exception when query_canceled then null;
      end;
    end loop;
  end $$`

  let outcome: unknown
  runTool({ ...(await describeRun(t, database, [body])), signal: stopping.signal }).catch(
    (error) => {
      outcome = error
    },
  )
  const countSleeping = async () => {
    const { rowCount } = await database.pool.query(
      `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
    )
    return rowCount
  }
  await becomes(t, countSleeping, 1)
  stopping.abort(reason)

  await becomes(t, async () => outcome === reason, true)
  t.equal(await countSleeping(), 0)
})

test('a stop before the tool has connected leaves nothing behind', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const reason = new Error('stopping')

  await t.rejects(
    runTool({
      ...(await describeRun(t, database, ['select 1;'])),
      signal: AbortSignal.abort(reason),
    }),
    reason,
  )

  const { rows } = await database.pool.query(`select to_regnamespace('graphile_migrate') as found`)
  t.strictSame(rows, [{ found: null }])
})

for (const [what, body, expected] of [
  [
    'a position after placeholders and wide characters',
    `select ':NAME', '😀😀';\nselect ':NAME', missing;`,
    { line: 6, text: `select ':NAME', missing;`, sqlstate: '42703' },
  ],
  [
    'a position that wide characters before a placeholder shift',
    `select '😀', ':NAME';\nmissing;`,
    { line: 6, text: 'missing;', sqlstate: '42601' },
  ],
  [
    'a position after a longer word that begins like a placeholder',
    `select ':NAMESAKE';\nmissing;`,
    { line: 6, text: 'missing;', sqlstate: '42601' },
  ],
  [
    'a position inside the value of a placeholder',
    `select\n:NAME\n;`,
    { line: 6, text: ':NAME', sqlstate: '42601' },
  ],
  [
    'the beginning of a long line',
    `select missing, '${'x'.repeat(300)}';`,
    { line: 5, text: /^select missing, 'x{183}$/, sqlstate: '42703' },
  ],
  [
    'an error inside a block, with its context',
    `select 1;\ndo $$\nbegin\n  perform 1 / 0;\nend $$;`,
    { line: 6, text: 'do $$', sqlstate: '22012', context: /inline_code_block line 3/ },
  ],
  [
    'a hint',
    `do $$ begin raise exception 'refused' using hint = 'try this', detail = 'because', errcode = 'MGXYZ'; end $$`,
    {
      hint: 'try this',
      postgresDetail: 'because',
      sqlstate: 'MGXYZ',
      postgresMessage: 'refused',
    },
  ],
  [
    'no line for a deferred constraint, which fails at the commit',
    `create table t (id int primary key deferrable initially deferred);
     insert into t values (1), (1);`,
    { line: undefined, sqlstate: '23505' },
  ],
] as const) {
  test(`a failure shows ${what}`, async (t) => {
    const database = await createTestDatabase(t, { from: 'empty' })
    const settings = { placeholders: { ':NAME': 'a much longer 😀 value' }, pgSettings: {} }

    await t.rejects(runTool({ ...(await describeRun(t, database, [body])), settings }), {
      code: 'migration_failed',
      exitCode: 4,
      extensions: { migration: '000001-step-1.sql', ...expected },
    })
  })
}

test('outside a transaction, the error warns that changes may be left behind', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  await database.pool.query('create table t (id int); insert into t values (1), (1)')
  const body = '--! no-transaction\ncreate unique index concurrently t_key on t (id);'

  await t.rejects(runTool(await describeRun(t, database, [body])), {
    code: 'migration_failed',
    message: /it runs outside a transaction \(--! no-transaction\): check what it left behind$/,
    extensions: { sqlstate: '23505' },
  })
})

test("a session that PostgreSQL ends is reported with PostgreSQL's error", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const body = 'select pg_terminate_backend(pg_backend_pid());'

  const error = await runTool(await describeRun(t, database, [body])).catch((cause) => cause)

  t.match(error, {
    wasEnded: true,
    isApplied: false,
    failure: {
      code: 'migration_failed',
      extensions: { migration: '000001-step-1.sql', sqlstate: '57P01', postgresMessage: String },
    },
  })
})

test("a migration's notices are logged, those that the tool causes are not", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  await runTool(await describeRun(t, database, ['select 1;']))
  const lines: { level: number; notice?: string }[] = []
  const log = pino({ level: 'info' }, { write: (line) => lines.push(JSON.parse(line)) })
  const bodies = [
    'select 1;',
    `do $$ begin raise notice 'a notice'; raise warning 'a warning'; end $$;`,
  ]

  const run = await describeRun(t, database, bodies)
  await runTool({ ...run, pending: run.pending.slice(1), log })

  t.strictSame(
    lines.flatMap(({ level, notice }) => (notice ? [[pino.levels.labels[level], notice]] : [])),
    [
      ['info', 'a notice'],
      ['warn', 'a warning'],
    ],
  )
})
