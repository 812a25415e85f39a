import { test } from 'tap'
import { openClient } from '../../src/postgres/client.ts'
import { isConnectionLost } from '../../src/postgres/errors.ts'
import { createPool } from '../../src/postgres/pool.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { settled, until } from '../support/until.ts'
import { acceptLogin, acceptWithFacts, startFakeServer } from './fixtures/fake-server.ts'

test('losing an idle session is logged, and the pool opens a new one', async (t) => {
  const { url, pool: other } = await createTestDatabase(t, { from: 'empty' })
  const { pool, warnings } = openPool(t, url)
  const before = await readBackendPid(pool)

  await other.query('select pg_terminate_backend($1)', [before])
  await until('a warning', () => warnings.length > 0)

  t.match(warnings, [[{ err: { message: /terminat/ } }, 'idle database connection lost']])
  t.not(await readBackendPid(pool), before)
})

test('losing a session that is in use fails its query, and nothing else', async (t) => {
  const { url, pool: other } = await createTestDatabase(t, { from: 'empty' })
  const { pool, warnings } = openPool(t, url)
  const pid = await readBackendPid(pool)
  const failing = pool.query('select pg_sleep(60)').catch((error) => error)

  await other.query('select pg_terminate_backend($1)', [pid])
  const error = await failing

  // The server says 57P01; the driver may notice the closed connection before it reads that.
  t.ok(isConnectionLost(error), error)
  t.equal((await pool.query('select 1')).rowCount, 1)
  t.strictSame(warnings, [])
})

test('an error of a statement keeps the session', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const { pool } = openPool(t, url)
  const pid = await readBackendPid(pool)

  await t.rejects(pool.query('select 1/0'), { code: '22012' })

  t.equal(await readBackendPid(pool), pid)
})

test('queries beyond the number of sessions take turns', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const { pool } = openPool(t, url, 2)

  const pids = await Promise.all(Array.from({ length: 20 }, () => readBackendPid(pool)))

  t.equal(new Set(pids).size, 2)
})

test('a session that nothing uses is closed', async (t) => {
  const { url, pool: other } = await createTestDatabase(t, { from: 'empty' })
  const { pool, warnings } = openPool(t, url)
  const pid = await readBackendPid(pool)

  await until('the session ends', async () => {
    const { rowCount } = await other.query('select from pg_stat_activity where pid = $1', [pid])
    return rowCount === 0
  })

  t.strictSame(warnings, [])
})

test('a pool whose sessions cannot be opened fails its queries, and opens them later', async (t) => {
  let refusals = 3
  const url = await startFakeServer(t, (socket) => {
    if (refusals-- > 0) socket.destroy()
    else acceptWithFacts(socket, { version: '18.4', major: '18' })
  })
  const { pool } = openPool(t, url)

  for (let attempt = 0; attempt < 3; attempt++) await t.rejects(pool.query('select 1'))

  t.equal(refusals, 0)
})

test('closing the pool says goodbye to a server that no longer answers, and does not wait', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const { pool } = openPool(t, url)
  await readBackendPid(pool)

  await pool.end()

  await t.rejects(pool.query('select 1'), { message: 'the pool is closed' })
})

test('a session to a silent server can be closed', async (t) => {
  const url = await startFakeServer(t, (socket) => acceptLogin(socket))

  await t.rejects(openClient(url, 'test', { timeoutMs: 200 }), { code: 'ENOANSWER' })
})

test('an answer that the driver cannot read fails its query, and ends nothing but the session', async (t) => {
  const url = await startFakeServer(t, (socket) => {
    acceptWithFacts(socket, { version: '18.4', major: '18' })
    // The description of a row that does not even say how many columns there are.
    const answer = () => socket.write(Buffer.from([...Buffer.from('T'), 0, 0, 0, 4]))
    socket.once('data', () => socket.once('data', answer))
  })
  const client = await openClient(url, 'test')
  const ended = new Promise((resolve) => client.once('end', resolve))

  await t.rejects(settled('the query fails', client.query('select 1')), {
    code: 'ERR_OUT_OF_RANGE',
  })

  await settled('the session ends', ended)
})

type Teardown = Parameters<typeof createTestDatabase>[0]

function openPool(t: Teardown, url: string, maxSessions = 1) {
  const warnings: unknown[] = []
  const pool = createPool({
    open: () => openClient(url, 'pool test'),
    maxSessions,
    log: { debug() {}, info() {}, error() {}, warn: (...line: unknown[]) => warnings.push(line) },
  })
  t.teardown(() => pool.end())
  return { pool, warnings }
}

async function readBackendPid({ query }: ReturnType<typeof createPool>): Promise<number> {
  const { rows } = await query('select pg_backend_pid() as pid')
  return rows[0].pid
}
