import { test } from 'tap'
import type { ToolSessions } from '../../../src/migrations/tool/cancel.ts'
import { runTool } from '../../../src/migrations/tool/runner.ts'
import { prepareTool } from '../../../src/migrations/tool/tool.ts'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.ts'
import { describeRun } from '../../support/tool-run.ts'
import { settled, until } from '../../support/until.ts'

/** The backends of the tool's sessions. */
async function readBackends({ pool }: TestDatabase, application: string): Promise<number[]> {
  const { rows } = await pool.query(
    'select pid from pg_stat_activity where datname = current_database() and application_name = $1',
    [application],
  )
  return rows.map(({ pid }) => pid)
}

test('a run that was prepared uses the connection that was begun for it', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const tool = prepareTool(database.url)
  let pids: number[] = []
  await until('it has connected', async () => {
    pids = await readBackends(database, tool.applicationName)
    return pids.length === 1
  })

  const run = await describeRun(t, database, ['create table result as select pg_backend_pid();'])
  await runTool({ ...run, tool })

  const { rows } = await database.pool.query('select pg_backend_pid from result')
  t.strictSame(rows, [{ pg_backend_pid: pids[0] }])
  await until('the session has ended', async () => {
    return (await readBackends(database, tool.applicationName)).length === 0
  })
})

test('a run that was stopped before it got its job has started nothing, and starts nothing', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const tool = prepareTool(database.url)
  tool.stop()
  const run = await describeRun(t, database, ['create table result as select 1;'])

  await t.rejects(settled('the run fails', runTool({ ...run, tool })), { code: 'ENOANSWER' })

  const { rows } = await database.pool.query(
    `select to_regclass('public.result') as result, to_regnamespace('graphile_migrate') as history`,
  )
  t.strictSame(rows, [{ result: null, history: null }])
  t.strictSame(await readBackends(database, tool.applicationName), [])
})

test('a session that was opened ahead and is not used is no backend of the run any more', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  // The session for the second file began with what was the default before the first.
  const first = `set my.setting = 'x'; alter database ${database.name} set my.other = 'y';
    select pg_advisory_lock(1), pg_advisory_unlock(1);`
  const second = 'select pg_advisory_xact_lock(2);'
  const holder = await database.open('test')
  t.teardown(() => holder.end())
  await holder.query('select pg_advisory_lock(1), pg_advisory_lock(2)')
  let sessions: ToolSessions | undefined
  const known = () => [...(sessions?.pids ?? [])]

  const running = runTool({
    ...(await describeRun(t, database, [first, second])),
    onStarted(started) {
      sessions = started
    },
  })
  await until('another session is open', () => known().length === 2)
  const begun = known()
  await holder.query('select pg_advisory_unlock(1)')
  await until('only the session of the second file is left', () => {
    const [pid = 0, ...others] = known()
    return others.length === 0 && !begun.includes(pid)
  })
  await holder.query('select pg_advisory_unlock(2)')

  const { ended } = await running
  await ended
  t.strictSame(await readBackends(database, sessions?.application ?? ''), [])
})

test('runs at the same time in one process each have their own database, files and failure', async (t) => {
  const large = `${'insert into result values (0);\n'.repeat(20_000)}`
  const bodies = (number: number): readonly string[] => [
    `create table result as select ${number} as value;`,
    number % 2 === 0 ? large : `select ${number} / 0;`,
  ]
  const databases = await Promise.all(
    [1, 2, 3, 4].map(() => createTestDatabase(t, { from: 'empty' })),
  )

  const ends = await Promise.allSettled(
    databases.map(async (database, index) =>
      runTool(await describeRun(t, database, bodies(index + 1))),
    ),
  )

  t.strictSame(
    ends.map(({ status }) => status),
    ['rejected', 'fulfilled', 'rejected', 'fulfilled'],
  )
  for (const [index, database] of databases.entries()) {
    const number = index + 1
    const { rows } = await database.pool.query(
      `select max(value) as first, count(*)::int as count,
              (select count(*)::int from graphile_migrate.migrations) as recorded
         from result`,
    )
    const expected = number % 2 === 0 ? { count: 20_001, recorded: 2 } : { count: 1, recorded: 1 }
    t.strictSame(rows, [{ first: number, ...expected }])
  }
  for (const end of ends.filter((one) => one.status === 'rejected')) {
    t.match(end.reason, { code: 'migration_failed', message: /division by zero/ })
  }
})

test('files that together are large run as small ones do', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const padding = `-- ${'x'.repeat(200_000)}`
  const bodies = Array.from({ length: 30 }, (_, index) =>
    index === 25
      ? `--! no-transaction\ncreate table result_25 ();\n${padding}`
      : `create table result_${index} ();\n${padding}`,
  )

  await runTool(await describeRun(t, database, bodies))

  const { rows } = await database.pool.query(
    `select count(*)::int as made, (select count(*)::int from graphile_migrate.migrations) as recorded
       from pg_class where relname like 'result\\_%' and relkind = 'r'`,
  )
  t.strictSame(rows, [{ made: 30, recorded: 30 }])
  const failing = [...bodies, `${padding}\nselect 1 / 0;`]
  const other = await createTestDatabase(t, { from: 'empty' })
  await t.rejects(runTool(await describeRun(t, other, failing)), {
    code: 'migration_failed',
    extensions: { line: 6, text: 'select 1 / 0;' },
  })
})
