// npm run test:sql, as a developer runs it, on a server of its own or on a given one.
import { execFile } from 'node:child_process'
import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createFolder } from '../support/migrations-folder.ts'
import { findFreePort } from '../support/port.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { projectDir } from '../support/server.ts'
import { until } from '../support/until.ts'

interface Run {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

function runTests(settings: Record<string, string>, ...names: readonly string[]): Promise<Run> {
  const args = [join(projectDir, 'scripts', 'test-sql.mjs'), ...names]
  const env = { PATH: process.env.PATH, ...settings }
  return new Promise((resolve) =>
    execFile(process.execPath, args, { env }, (error, stdout, stderr) =>
      resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr }),
    ),
  )
}

test('npm run test:sql', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
  const migrationsDir = join(createFolder(t), 'migrations')
  cpSync(join(projectDir, 'migrations'), migrationsDir, { recursive: true })
  cpSync(join(projectDir, '.gmrc'), join(migrationsDir, '..', '.gmrc'))
  const settings = { DATABASE_URL: url, MIGRATIONS_DIR: migrationsDir }
  const fixture = join(migrationsDir, 'fixtures', 'commandbus', 'functions', 'sp_start_batch.sql')
  const committed = readFileSync(fixture, 'utf8')
  const databases = async () => {
    const { rows } = await pool.query<{ name: string }>(
      `select datname as name from pg_database where datname like 'test\\_sql\\_%' order by 1`,
    )
    return rows.map(({ name }) => name)
  }
  t.teardown(async () => {
    for (const name of await databases()) await pool.query(`drop database ${name} with (force)`)
  })

  await t.test('runs the tests of one procedure, and touches no data', async (t) => {
    const { exitCode, stdout, stderr } = await runTests(settings, 'sp_start_batch')

    t.equal(stderr, '')
    t.match(stdout, /^sp_start_batch: 3 passed \(\d+\.\d\d s\)\n$/)
    t.equal(exitCode, 0)
    const { rows } = await pool.query('select count(*)::int as n from commandbus.batch')
    t.strictSame(rows, [{ n: 0 }])
    await until('the copy is dropped', async () => (await databases()).length === 1)
    t.match(await databases(), [/^test_sql_\w+_template$/])
  })

  await t.test('tests what is saved, also where nothing has applied it yet', async (t) => {
    writeFileSync(fixture, committed.replace('p_wait => true', 'p_wait => false'))

    const { exitCode, stdout } = await runTests(settings, 'commandbus.sp_start_batch')

    t.equal(exitCode, 1)
    t.match(
      stdout,
      /^✖ sp_start_batch › waits for another session.*\n {2}expected session \d+ to wait for session \d+, but/,
    )
    t.match(stdout, /sp_start_batch\.test\.ts:\d+: await second\.waitsFor\(first\)/)
    t.match(stdout, /2 passed, 1 failed/)
  })

  await t.test('shows where the SQL is wrong, and runs nothing', async (t) => {
    writeFileSync(fixture, committed.replace('p_batch_id,', 'p_batch,'))

    const { exitCode, stdout, stderr } = await runTests(settings, 'sp_start_batch')

    t.equal(exitCode, 1)
    t.equal(stdout, '')
    t.match(stderr, /functions\/sp_start_batch\.sql:8: column "p_batch" does not exist \(42703\)/)
    t.match(stderr, /\n {2}8 \| .*p_batch, .*\n +\^\n$/)
    writeFileSync(fixture, committed)
  })

  await t.test('current.sql is part of the state', async (t) => {
    appendFileSync(
      join(migrationsDir, 'current.sql'),
      'alter function commandbus.counter_no(uuid) called on null input;\n',
    )
    t.equal((await runTests(settings, 'counter_no')).exitCode, 0)
    appendFileSync(join(migrationsDir, 'current.sql'), 'drop view commandbus.batch_progress;\n')
    t.match(await runTests(settings, 'batch_progress'), { exitCode: 1, stdout: /batch_progress/ })
    writeFileSync(join(migrationsDir, 'current.sql'), '-- Enter migration here\n')
  })

  await t.test('lists the procedures for a name that is none', async (t) => {
    const { exitCode, stderr } = await runTests(settings, 'no_such_procedure')

    t.equal(exitCode, 2)
    t.match(stderr, /^nothing tests no_such_procedure: .*\nwith tests:\n {2}count_in_rows\n/)
    t.match(stderr, /\nwithout tests: none\n$/)
  })

  await t.test('starts the embedded server where none runs, and says so', async (t) => {
    const { stdout, exitCode } = await runTests(
      {
        EMBEDDED_DATA_DIR: join(createFolder(t), 'data'),
        EMBEDDED_PORT: String(await findFreePort()),
      },
      'counter_no',
    )

    t.match(stdout, /^no server is running: starting the embedded one .*\ncounter_no: \d passed/)
    t.equal(exitCode, 0)
  })
})
