import type { Pool } from 'pg'
import { type Test, test } from 'tap'
import { createMonitor, type MonitorOptions } from '../../src/database/monitor.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { isConnectionLost } from '../../src/postgres/errors.ts'
import { createSessions } from '../../src/postgres/sessions.ts'
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

test('each reason of a loss is logged once, and its end', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const problems = ['read-only', 'another database', 'read-only', undefined]
  const lines: unknown[] = []
  const note = (facts: unknown, message?: string) => lines.push(message ? facts : { end: facts })
  const { changes } = startMonitor(
    t,
    url,
    async () => ({ problem: problems.length > 1 ? problems.shift() : problems[0] }),
    false,
    { ...log, warn: note, info: note } as MonitorOptions['log'],
  )

  await until('the problem is over', () => changes.length > 1 && changes.at(-1) === undefined)

  t.strictSame(lines, [
    { reason: 'read-only' },
    { reason: 'another database' },
    { end: 'database connection restored' },
  ])
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

test('a session that goes silent is reported, and ends every session once a new one is answered', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const proxy = await openProxy(t, url)
  const { changes, connected, sessions } = startMonitor(t, proxy.url)
  const other = await sessions.open('other')
  await connected()
  const failing = other.query('select pg_sleep(60)').catch((error) => error)

  proxy.pause()
  await until('a problem is reported', () => changes.length > 0)
  t.equal(changes[0], 'the database did not answer in time')

  t.ok(isConnectionLost(await settled('the other session is ended', failing)))
  await until('the problem is over', () => changes.at(-1) === undefined)
})

test('a slow answer is a problem, but ends no session', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  let isSlow = true
  const { changes, sessions } = startMonitor(t, url, async (client) => {
    if (isSlow) await client.query('select pg_sleep(1.3)')
    isSlow = false
    return {}
  })
  const other = await sessions.open('other')
  const answer = other.query('select pg_sleep(3)')

  await until('the problem is over', () => changes.length > 1 && changes.at(-1) === undefined)

  t.equal((await answer).rowCount, 1)
})

test('while the service stops, a database that does not answer is given up at once', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const proxy = await openProxy(t, url)
  const { connected, sessions, beginStop } = startMonitor(t, proxy.url)
  const other = await sessions.open('other')
  await connected()
  const failing = other.query('select pg_sleep(60)').catch((error) => error)

  proxy.pause()
  beginStop()

  t.ok(isConnectionLost(await settled('the other session is ended', failing)))
})

test('a session whose answer is lost is ended, and no other', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const proxy = await openProxy(t, url)
  const lost = createSessions({ readUrl: () => proxy.url, log })
  const other = await createSessions({ readUrl: () => url, log }).open('other')
  const silent = await lost.open('silent')
  const busy = await lost.open('busy')
  t.teardown(() => other.end())
  const failing = silent.query('select 1').catch((error) => error)
  await failing

  proxy.pause()
  const swallowed = silent.query('select 1').catch((error) => error)
  await until('it has waited long enough', () => silent.waitingMs > 2500)

  t.equal(await lost.endSilent(other), 1)
  t.ok(isConnectionLost(await settled('it is ended', swallowed)))
  t.equal(busy.waitingMs, 0)
  lost.endAll('over')
})

test('a problem that the check finds is reported until it is over', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const problems = ['wrong database', 'wrong database', undefined]
  const { changes } = startMonitor(t, url, async () => ({ problem: problems.shift() }))

  await until('the problem is over', () => changes.length > 1)

  t.strictSame(changes, ['wrong database', undefined])
  t.strictSame(problems, [])
})

test('the check is told about a new session, and can ask for one', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const seen: boolean[] = []
  startMonitor(t, url, async (_client, isNew) => ({ needsNewSession: seen.push(isNew) > 1 }))

  await until('some checks', () => seen.length > 3)

  t.strictSame(seen.slice(0, 4), [true, false, true, true])
})

test('while the service starts, no session is kept', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const { monitor, clients } = startMonitor(t, url, undefined, true)

  await monitor.recheck()

  t.equal(clients.length, 1)
  await becomes(t, () => countSessions(pool), 0)
})

test('a check that fails leaves no session behind', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  let failures = 3
  const { changes } = startMonitor(t, url, async () => {
    if (failures-- > 0) throw new Error(`failed, ${failures} to come`)
    return {}
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

const log = { debug() {}, info() {}, warn() {}, error() {} }

/** Starts a monitor that ends with the test, and collects what it reports. */
function startMonitor(
  t: Test,
  url: string,
  check: MonitorOptions['check'] = async (client) => {
    await client.query('select 1')
    return {}
  },
  isStarting = false,
  monitorLog: MonitorOptions['log'] = log,
) {
  const changes: (string | undefined)[] = []
  const clients: SessionClient[] = []
  const [ending, stopping] = [new AbortController(), new AbortController()]
  const sessions = createSessions({ readUrl: () => url, log })
  const monitor = createMonitor({
    sessions,
    onChange: (problem) => changes.push(problem),
    check: (client, isNew) => {
      clients.push(client)
      return check(client, isNew)
    },
    isStarting: () => isStarting,
    log: monitorLog,
    stopping: stopping.signal,
    signal: ending.signal,
  })
  const ended = monitor.run()
  const stop = async () => {
    ending.abort()
    await ended
  }
  t.teardown(async () => {
    await stop()
    sessions.endAll('the test is over')
  })
  return {
    changes,
    clients,
    monitor,
    sessions,
    stop,
    beginStop: () => stopping.abort(),
    async connected(): Promise<SessionClient> {
      await until('the monitor connects', () => clients.length > 0)
      return clients[0] as SessionClient
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
