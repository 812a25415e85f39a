import { test } from 'tap'
import { createPool, withClient, withTransaction } from '../../src/postgres/pool.ts'
import { createTestDatabase } from '../support/postgres.ts'

test('PostgreSQL’s own variables have no effect, whatever the URL leaves out', async (t) => {
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

test('options of the URL have effect', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })

  const { pool } = openPool(t, `${url}?options=-c%20statement_timeout%3D4321`)

  const { rows } = await pool.query('show statement_timeout')
  t.equal(rows[0].statement_timeout, '4321ms')
})

test('a connection lost while nobody uses it is told, and replaced', async (t) => {
  const { url, pool: other } = await createTestDatabase(t, { from: 'empty' })
  const { pool, warnings } = openPool(t, url)
  const before = await backendOf(pool)

  await other.query('select pg_terminate_backend($1)', [before])
  while (warnings.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))

  t.not(await backendOf(pool), before)
})

test('a connection lost while it is in use fails that work alone', async (t) => {
  const { url, pool: other } = await createTestDatabase(t, { from: 'empty' })
  const { pool } = openPool(t, url)

  const lost = withTransaction(pool, async (client) => {
    const { rows } = await client.query('select pg_backend_pid() as pid')
    await other.query('select pg_terminate_backend($1)', [rows[0].pid])
    await client.query('select 1')
  })

  await t.rejects(lost, { code: '57P01' })
  t.equal((await pool.query('select 1')).rowCount, 1)
})

test('a transaction is committed when its work is done', async (t) => {
  const { pool } = await createMarks(t)

  const mark = await withTransaction(pool, async (client) => {
    await client.query('insert into public.marks values (1)')
    return 'done'
  })

  t.equal(mark, 'done')
  t.equal((await pool.query('select from public.marks')).rowCount, 1)
})

test('a transaction is rolled back when its work fails', async (t) => {
  const { pool } = await createMarks(t)
  const failure = new Error('on purpose')

  const failed = withTransaction(pool, async (client) => {
    await client.query('insert into public.marks values (1)')
    throw failure
  })

  t.equal(await failed.catch((error) => error), failure)
  t.equal((await pool.query('select from public.marks')).rowCount, 0)
})

test('a transaction whose work hides an error is not taken for committed', async (t) => {
  const { pool } = await createMarks(t)

  const hidden = withTransaction(pool, async (client) => {
    await client.query('insert into public.marks values (1)')
    await client.query('select 1 / 0').catch(() => {})
  })

  await t.rejects(hidden)
  t.equal((await pool.query('select from public.marks')).rowCount, 0)
})

test('a connection that was lent is taken back, also after an error', async (t) => {
  const { pool } = await createMarks(t)

  await withClient(pool, (client) => client.query('select 1 / 0')).catch(() => {})

  t.equal(pool.idleCount, pool.totalCount)
})

type Teardown = Parameters<typeof createTestDatabase>[0]

function openPool(t: Teardown, url: string) {
  const warnings: unknown[] = []
  const pool = createPool(url, {
    applicationName: 'pool test',
    maxConnections: 1,
    log: { debug() {}, info() {}, error() {}, warn: (...line: unknown[]) => warnings.push(line) },
  })
  t.teardown(() => pool.end())
  return { pool, warnings }
}

async function createMarks(t: Teardown) {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const { pool } = openPool(t, url)
  await pool.query('create table public.marks (mark integer)')
  return { pool }
}

async function backendOf(pool: ReturnType<typeof createPool>): Promise<number> {
  const { rows } = await pool.query('select pg_backend_pid() as pid')
  return rows[0].pid
}

/** Sets variables of the environment; the answer puts them back. */
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
