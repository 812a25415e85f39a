import { once } from 'node:events'
import { userInfo } from 'node:os'
import pg from 'pg'
import { test } from 'tap'
import { isConnectionLost } from '../../src/postgres/errors.ts'
import { createConnectionConfig, createPool } from '../../src/postgres/pool.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { settled, until } from '../support/until.ts'
import { acceptLogin, fatalError, startFakeServer } from './fixtures/fake-server.ts'

test('PG* environment variables have no effect, whatever the URL leaves out', async (t) => {
  const { url, name } = await createTestDatabase(t, { from: 'empty' })
  t.teardown(
    setVariables({
      PGUSER: 'nobody_here',
      PGDATABASE: 'nowhere',
      PGHOST: 'no-such-host.invalid',
      PGPORT: '1',
      PGOPTIONS: '-c statement_timeout=1234',
      PGSSLMODE: 'require',
      PGSSLNEGOTIATION: 'direct',
      PGAPPNAME: 'from the environment',
      PGCONNECT_TIMEOUT: '1',
    }),
  )

  const { pool } = openPool(t, url)
  const { rows } = await pool.query(
    `select current_database() as name,
            current_setting('statement_timeout') as timeout,
            current_setting('application_name') as application`,
  )

  t.strictSame(rows, [{ name, timeout: '0', application: 'pool test' }])
})

test('PG* environment variables do not complete a URL that leaves everything out', async (t) => {
  t.teardown(
    setVariables({
      PGUSER: 'nobody_here',
      PGPASSWORD: 'the-password',
      PGDATABASE: 'nowhere',
      PGHOST: 'no-such-host.invalid',
      PGPORT: '1',
      PGSSLMODE: 'require',
    }),
  )

  const config = createConnectionConfig('postgres://', { applicationName: 'pool test' })
  const client = new pg.Client(config)

  const { username } = userInfo()
  t.match(client, {
    user: username,
    database: username,
    host: 'localhost',
    port: 5432,
    ssl: false,
  })
  t.equal(await (config.password as () => Promise<string>)(), '')
})

test('options in the URL take effect', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })

  const { pool } = openPool(t, `${url}?options=-c%20statement_timeout%3D4321`)

  const { rows } = await pool.query('show statement_timeout')
  t.equal(rows[0].statement_timeout, '4321ms')
})

test('losing an idle connection is logged, and the pool opens a new one', async (t) => {
  const { url, pool: other } = await createTestDatabase(t, { from: 'empty' })
  const { pool, warnings } = openPool(t, url)
  const before = await readBackendPid(pool)

  await other.query('select pg_terminate_backend($1)', [before])
  await until('a warning', () => warnings.length > 0)

  t.match(warnings, [[{ err: { message: /terminat/ } }, 'idle database connection lost']])
  t.not(await readBackendPid(pool), before)
})

test('a connection that is lost while the pool is closing is not logged', async (t) => {
  const url = await startFakeServer(t, (socket) => {
    acceptLogin(socket)
    // The next message is the client's goodbye: the server is going down at the same time.
    socket.once('data', () => socket.end(fatalError('57P01')))
  })
  const { pool, warnings } = openPool(t, url)
  const client = await pool.connect()
  client.release()

  const lost = once(pool, 'error')
  await pool.end()
  await settled('the error reaches the pool', lost)

  t.strictSame(warnings, [])
})

test('losing a connection between the queries of its user does not end the process', async (t) => {
  const { url, pool: other } = await createTestDatabase(t, { from: 'empty' })
  const { pool } = openPool(t, url)
  const client = await pool.connect()
  const { rows } = await client.query('select pg_backend_pid() as pid')

  const ended = new Promise<void>((resolve) => client.once('end', resolve))
  await other.query('select pg_terminate_backend($1)', [rows[0].pid])
  await settled('the connection ends', ended)
  const error = await client.query('select 1').catch((error) => error)
  client.release(true)

  t.ok(isConnectionLost(error), error)
})

test('losing a connection that is in use fails its query, and nothing else', async (t) => {
  const { url, pool: other } = await createTestDatabase(t, { from: 'empty' })
  const { pool } = openPool(t, url)
  const client = await pool.connect()
  const { rows } = await client.query('select pg_backend_pid() as pid')

  await other.query('select pg_terminate_backend($1)', [rows[0].pid])
  const error = await client.query('select pg_sleep(60)').catch((error) => error)
  client.release(true)

  // The server says 57P01; the driver may notice the closed connection before it reads that.
  t.ok(isConnectionLost(error), error)
  t.equal((await pool.query('select 1')).rowCount, 1)
})

type Teardown = Parameters<typeof createTestDatabase>[0]

function openPool(t: Teardown, url: string) {
  const warnings: unknown[] = []
  const pool = createPool(url, {
    applicationName: 'pool test',
    maxConnections: 1,
    log: { debug() {}, info() {}, error() {}, warn: (...line: unknown[]) => warnings.push(line) },
  })
  t.teardown(async () => {
    if (!pool.ending) await pool.end()
  })
  return { pool, warnings }
}

async function readBackendPid(pool: ReturnType<typeof createPool>): Promise<number> {
  const { rows } = await pool.query('select pg_backend_pid() as pid')
  return rows[0].pid
}

/** Sets environment variables; returns a function that restores the old ones. */
function setVariables(variables: Record<string, string>): () => void {
  const before = { ...process.env }
  Object.assign(process.env, variables)
  return () => {
    for (const name of Object.keys(variables)) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  }
}
