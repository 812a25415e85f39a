// PgBouncer for real: Debian's package, in each of its modes.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type Test, test } from 'tap'
import { own, spawnOptions } from '../support/cluster.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { findFreePort } from '../support/port.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/until.ts'

const PGBOUNCER = '/usr/sbin/pgbouncer'
const skip = existsSync(PGBOUNCER) ? false : "NOT TESTED: Debian's package pgbouncer is missing"

test('a pooler in session mode works', { skip }, async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const pooled = await startPgBouncer(t, url, { pool_mode: 'session' })
  const options = encodeURIComponent('-c search_path=public')

  const service = startService(t, {
    DATABASE_URL: `${pooled}?options=${options}`,
    MIGRATIONS_DIR: createMigrationsFolder(t, ['create schema one;', 'create table one.t ();']),
  })
  await service.waitForReady()

  t.match((await service.get('/status')).body, { migrations: { applied: [{}, {}] } })
  t.match(await service.stop(), { code: 0 })
  t.strictSame(await readAdvisoryLocks(pool), [])
})

test('session mode with one backend is not mistaken for another mode', { skip }, async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const pooled = await startPgBouncer(t, url, { pool_mode: 'session', default_pool_size: '1' })

  const service = startService(t, {
    DATABASE_URL: pooled,
    DATABASE_WAIT_SECONDS: '3',
    MIGRATIONS_DIR: createMigrationsFolder(t, ['select 1;']),
  })
  // With one backend it cannot migrate: it may end, but not for that reason.
  await Promise.race([service.ended, service.waitForReady().catch(() => {})])

  t.notMatch(service.output(), 'pooler_not_supported')
})

for (const settings of [
  { pool_mode: 'transaction' },
  { pool_mode: 'transaction', default_pool_size: '1' },
  { pool_mode: 'transaction', server_round_robin: '1', min_pool_size: '2' },
  { pool_mode: 'transaction', server_round_robin: '1', min_pool_size: '5' },
  { pool_mode: 'statement' },
  { pool_mode: 'statement', server_round_robin: '1', min_pool_size: '2' },
]) {
  test(`a pooler with ${JSON.stringify(settings)} is refused`, { skip }, async (t) => {
    const { url, pool } = await createTestDatabase(t, { from: 'empty' })
    const pooled = await startPgBouncer(t, url, settings)
    const MIGRATIONS_DIR = createMigrationsFolder(t, ['create schema one;'])
    // The pooler has backends to hand out.
    const client = new pg.Client({ connectionString: pooled })
    await client.connect()
    await client.query('select 1')
    await client.end()

    const services = [1, 2, 3].map(() => startService(t, { DATABASE_URL: pooled, MIGRATIONS_DIR }))

    for (const service of services) {
      t.match(await service.ended, { code: 3 })
      const [line] = service.log().filter(({ level }) => level === 'fatal')
      t.match(line, { err: { code: 'pooler_not_supported', message: /session mode/ } })
    }
    t.strictSame(await readAdvisoryLocks(pool), [])
    const { rows } = await pool.query(
      `select to_regnamespace('one') as one, to_regnamespace('graphile_migrate') as tool`,
    )
    t.strictSame(rows, [{ one: null, tool: null }])
  })
}

test('a busy pooler in transaction mode is refused', { skip }, async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const pooled = await startPgBouncer(t, url, { pool_mode: 'transaction', default_pool_size: '4' })
  const others = new pg.Pool({ connectionString: pooled, max: 8 })
  others.on('error', () => {})
  let isOver = false
  const load = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!isOver) await others.query('select pg_sleep(0.002)')
    }),
  )
  const MIGRATIONS_DIR = createMigrationsFolder(t, ['create schema one;'])

  for (let times = 0; times < 5; times++) {
    const service = startService(t, { DATABASE_URL: pooled, MIGRATIONS_DIR })
    t.match(await service.ended, { code: 3 })
    t.match(service.output(), 'pooler_not_supported')
  }
  isOver = true
  await load
  await others.end()
  t.strictSame(await readAdvisoryLocks(pool), [])
})

async function readAdvisoryLocks(pool: pg.Pool): Promise<unknown[]> {
  const { rows } = await pool.query(
    `select classid, objid from pg_locks
      where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())`,
  )
  return rows
}

/** Starts a PgBouncer in front of the database; returns the way through it. */
async function startPgBouncer(
  t: Test,
  url: string,
  settings: Readonly<Record<string, string>>,
): Promise<string> {
  const target = new URL(url)
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-pgbouncer-'))
  own(folder)
  const port = await findFreePort()
  writeFileSync(join(folder, 'users'), '"postgres" ""\n')
  const lines = Object.entries({
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: join(folder, 'users'),
    max_client_conn: '200',
    ...settings,
  }).map(([name, value]) => `${name} = ${value}`)
  const databases = `* = host=${target.hostname} port=${target.port} user=postgres`
  writeFileSync(
    join(folder, 'pgbouncer.ini'),
    ['[databases]', databases, '[pgbouncer]', ...lines, ''].join('\n'),
  )
  const pooler = spawn(PGBOUNCER, ['-q', join(folder, 'pgbouncer.ini')], {
    ...spawnOptions(),
    stdio: 'ignore',
  })
  t.teardown(() => pooler.kill('SIGKILL'))
  const pooled = `postgres://postgres@127.0.0.1:${port}${target.pathname}`
  await until('the pooler answers', async () => {
    const client = new pg.Client({ connectionString: pooled })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query('select 1')
      return true
    } catch {
      return false
    } finally {
      await client.end().catch(() => {})
    }
  })
  return pooled
}
