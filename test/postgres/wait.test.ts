import { test } from 'tap'
import { waitForDatabase } from '../../src/postgres/wait.ts'
import { findFreePort } from '../support/port.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'
import { until } from '../support/until.ts'
import { acceptWithFacts, fatalError, startFakeServer } from './fixtures/fake-server.ts'

const POSTGRES_18 = { version: '18.4', major: '18' }

test('a usable database is described', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const { rows } = await pool.query('show server_version')

  t.strictSame(await wait(url), { serverVersion: rows[0].server_version })
})

test('a login that the server rejects is an error at once', async (t) => {
  const role = await createTestRole(t)
  const { url, pool, name } = await createTestDatabase(t, { from: 'empty' })

  await t.test('a database that does not exist', async (t) => {
    await t.rejects(wait(change(url, { pathname: '/nowhere' })), {
      code: 'database_missing',
      exitCode: 3,
    })
  })

  await t.test('a user that does not exist', async (t) => {
    // With a password method the server does not reveal which of the two is wrong.
    await t.rejects(wait(change(url, { username: 'nobody_here' })), {
      code: /^database_(login_refused|password_wrong)$/,
      exitCode: 3,
    })
  })

  await t.test('a user without the CONNECT privilege', async (t) => {
    await pool.query(`revoke connect on database ${name} from public`)
    await t.rejects(wait(change(url, { username: role })), {
      code: 'database_connect_denied',
      exitCode: 3,
    })
  })
})

test('a read-only database is an error at once', async (t) => {
  const { url, pool, name } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`alter database ${name} set default_transaction_read_only = on`)

  await t.rejects(wait(url), { code: 'database_read_only', exitCode: 3 })
})

test('a PostgreSQL older than 15 is an error at once', async (t) => {
  const url = await startFakeServer(t, (socket) =>
    acceptWithFacts(socket, { version: '14.9', major: '14' }),
  )

  await t.rejects(wait(url), { code: 'database_too_old', exitCode: 3 })
})

test('a database that is not in UTF-8 is an error at once', async (t) => {
  const url = await startFakeServer(t, (socket) =>
    acceptWithFacts(socket, { ...POSTGRES_18, encoding: 'LATIN1' }),
  )

  const error = await wait(url).catch((error) => error)

  t.match(error, { code: 'database_not_utf8', exitCode: 3, message: /UTF8.*LATIN1/ })
})

test('PostgreSQL 15, the oldest supported version, is accepted', async (t) => {
  const url = await startFakeServer(t, (socket) =>
    acceptWithFacts(socket, { version: '15.0', major: '15' }),
  )

  t.strictSame(await wait(url), { serverVersion: '15.0' })
})

for (const [name, sqlstate] of [
  ['is starting up', '57P03'],
  ['has too many connections', '53300'],
] as const) {
  test(`a server that ${name} is retried`, async (t) => {
    let attempts = 0
    const url = await startFakeServer(t, (socket) => {
      if (++attempts < 3) socket.end(fatalError(sqlstate))
      else acceptWithFacts(socket, POSTGRES_18)
    })

    t.match(await wait(url), { serverVersion: '18.4' })
    t.equal(attempts, 3)
  })
}

test('an unreachable server is retried until the time is up', async (t) => {
  const lines: unknown[] = []
  const url = `postgres://someone:the-password@127.0.0.1:${await findFreePort()}/somewhere`

  const startedAt = Date.now()
  const error = await wait(url, { waitMs: 1300, lines }).catch((error) => error)

  t.match(error, { code: 'database_not_reached', exitCode: 3 })
  t.ok(Date.now() - startedAt >= 1300, 'did not give up early')
  t.match(error.message, /within 1\.3 s: .*ECONNREFUSED/)
  t.notMatch(JSON.stringify([lines, error.message]), 'the-password')
})

test('a wait is logged once a second, not with every attempt', async (t) => {
  let attempts = 0
  const attemptsAtLines: number[] = []
  const url = await startFakeServer(t, (socket) => {
    attempts++
    if (attemptsAtLines.length < 2) socket.end(fatalError('57P03'))
    else acceptWithFacts(socket, POSTGRES_18)
  })

  await wait(url, { onLine: () => attemptsAtLines.push(attempts) })

  const [first = 0, second = 0] = attemptsAtLines
  t.ok(second > first + 1, `attempts at the log lines: ${attemptsAtLines}`)
})

test('a host name that does not resolve yet is retried', async (t) => {
  const error = await wait('postgres://a:b@no-such-host.invalid/db', { waitMs: 300 }).catch(
    (error) => error,
  )

  t.match(error, { code: 'database_not_reached' })
})

test('a server that comes up during the wait is found', async (t) => {
  const port = await findFreePort()
  const lines: unknown[] = []
  const found = wait(`postgres://a:b@127.0.0.1:${port}/db`, { waitMs: 20_000, lines })
  await until('a log line about the wait', () => lines.length > 0)

  await startFakeServer(t, (socket) => acceptWithFacts(socket, POSTGRES_18), port)

  t.match(await found, { serverVersion: '18.4' })
})

test('the signal ends the wait, even for a server that accepts connections and stays silent', async (t) => {
  const stop = new AbortController()
  const reason = new Error('stop')
  const lines: unknown[] = []
  const url = await startFakeServer(t, () => stop.abort(reason))

  const outcome = wait(url, { waitMs: 60_000, lines, signal: stop.signal })

  t.equal(await outcome.catch((error) => error), reason)
  t.ok(lines.length < 3, 'it did not wait for the attempt to time out, at a line a second')
})

test('a server that accepts connections and stays silent is logged, and given up', async (t) => {
  const lines: unknown[] = []
  const url = await startFakeServer(t, () => {})

  const error = await waitNoLongerThan(20, url, { waitMs: 1500, lines })

  t.match(error, { code: 'database_not_reached' })
  t.match(lines, [[{ reason: 'it has not answered yet' }]])
})

test('a silent server is given up even when there is no time to wait', async (t) => {
  const url = await startFakeServer(t, () => {})

  t.match(await waitNoLongerThan(20, url, { waitMs: 0 }), { code: 'database_not_reached' })
})

test('a server that needs a moment to answer is reached even when there is no time to wait', async (t) => {
  const url = await startFakeServer(t, (socket) => {
    setTimeout(() => acceptWithFacts(socket, POSTGRES_18), 50)
  })

  t.match(await wait(url, { waitMs: 0 }), { serverVersion: '18.4' })
})

interface WaitOptions {
  readonly waitMs?: number
  readonly lines?: unknown[]
  readonly onLine?: () => void
  readonly signal?: AbortSignal
}

function wait(url: string, options: WaitOptions = {}) {
  const write = (...line: unknown[]) => {
    options.lines?.push(line)
    options.onLine?.()
  }
  return waitForDatabase(url, {
    waitMs: options.waitMs ?? 30_000,
    purpose: 'wait test',
    log: { debug: write, info: write, warn: write, error: write },
    signal: options.signal ?? new AbortController().signal,
  })
}

/** Waits for the error; stops a wait that has written too many lines, which are one a second. */
async function waitNoLongerThan(maxLines: number, url: string, options: WaitOptions) {
  const stop = new AbortController()
  let lines = 0
  const onLine = () => {
    if (++lines >= maxLines) stop.abort(new Error('still waiting'))
  }
  return wait(url, { ...options, onLine, signal: stop.signal }).catch((error) => error)
}

function change(url: string, parts: Partial<Pick<URL, 'pathname' | 'username'>>): string {
  return Object.assign(new URL(url), parts).href
}
