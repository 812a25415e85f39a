import type { Client, Pool } from 'pg'
import { type Test, test } from 'tap'
import { type MonitorOptions, monitorDatabase } from '../../src/database/monitor.ts'
import { becomes } from '../support/becomes.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { openProxy } from '../support/proxy.ts'
import { settled, until } from '../support/until.ts'

test('a problem is reported once, and again when it is over', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const proxy = await openProxy(t, url)
  const { changes, connected } = startMonitor(t, proxy.url)
  await connected()

  proxy.cut()
  await until('a problem is reported', () => changes.length > 0)
  proxy.restore()
  await until('the problem is over', () => changes.at(-1) === undefined)

  t.ok(changes.slice(0, -1).every(Boolean), `only problems before the end: ${changes}`)
  t.equal(new Set(changes).size, changes.length, 'each problem once')
})

test('a lost connection is reported at once, without waiting for the next check', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const { changes, connected } = startMonitor(t, url)
  const client = await connected()

  const ended = new Promise((resolve) => client.once('end', resolve))
  await terminateMonitor(pool)
  await settled('the connection ends', ended)

  t.equal(changes[0], 'terminating connection due to administrator command (57P01)')
})

test('a database that stops answering is reported', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const proxy = await openProxy(t, url)
  const { changes, connected } = startMonitor(t, proxy.url)
  await connected()

  proxy.pause()
  await until('a problem is reported', () => changes.length > 0)

  t.equal(changes[0], 'Query read timeout')
})

test('a database that is not the expected one is a problem until it is', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const mismatches = ['wrong database', 'wrong database', undefined]
  const { changes } = startMonitor(t, url, async () => mismatches.shift())

  await until('the problem is over', () => changes.length > 1)

  t.strictSame(changes, ['wrong database', undefined])
  t.strictSame(mismatches, [], 'verified until it was the expected one')
})

test('the database is verified again on a new connection', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const mismatches = [undefined, 'wrong database']
  const { changes, connected } = startMonitor(t, url, async () => mismatches.shift())
  await connected()

  await terminateMonitor(pool)
  await until('the problem is over', () => changes.length > 0 && changes.at(-1) === undefined)

  t.ok(changes.includes('wrong database'), `reported: ${changes}`)
})

test('a check that fails leaves no session behind', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  let failures = 3
  const { changes } = startMonitor(t, url, async () => {
    if (failures-- > 0) throw new Error(`failed, ${failures} to come`)
    return undefined
  })

  await until('the checks succeed', () => changes.length > 0 && changes.at(-1) === undefined)

  t.equal(changes.length, 4)
  await becomes(t, () => countSessions(pool), 1)
})

test('the signal ends the monitor and its session', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const { connected, stop } = startMonitor(t, url)
  await connected()

  await stop()

  await becomes(t, () => countSessions(pool), 0)
})

/** Starts a monitor that ends with the test, and collects what it reports. */
function startMonitor(
  t: Test,
  url: string,
  verify: MonitorOptions['verify'] = async () => undefined,
) {
  const changes: (string | undefined)[] = []
  const clients: Client[] = []
  const stopping = new AbortController()
  const ended = monitorDatabase({
    url,
    onChange: (problem) => changes.push(problem),
    verify: (client) => {
      clients.push(client)
      return verify(client)
    },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    signal: stopping.signal,
  })
  const stop = async () => {
    stopping.abort()
    await ended
  }
  t.teardown(stop)
  return {
    changes,
    stop,
    async connected(): Promise<Client> {
      await until('the monitor connects', () => clients.length > 0)
      return clients[0] as Client
    },
  }
}

async function terminateMonitor(pool: Pool): Promise<void> {
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'commandbus-db monitor'`,
  )
}

async function countSessions(pool: Pool): Promise<number> {
  const { rows } = await pool.query(
    `select count(*)::int as sessions from pg_stat_activity
      where datname = current_database() and application_name = 'commandbus-db monitor'`,
  )
  return rows[0].sessions
}
