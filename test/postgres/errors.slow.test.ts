import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type LookupFunction, type Socket } from 'node:net'
import pg from 'pg'
import { type Test, test } from 'tap'
import {
  describeError,
  isBlocked,
  isConnectionLost,
  isConnectionRefusedForNow,
  isConstraintViolation,
  isInsufficientPrivilege,
  isOutOfResources,
  isPasswordExchangeFailed,
  sqlstateOf,
} from '../../src/postgres/errors.ts'
import { findFreePort } from '../support/port.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'
import { settled } from '../support/until.ts'
import { acceptLogin, demandPassword, fatalError, startFakeServer } from './fixtures/fake-server.ts'

const PREDICATES = {
  isBlocked,
  isConnectionLost,
  isConnectionRefusedForNow,
  isConstraintViolation,
  isInsufficientPrivilege,
  isOutOfResources,
  isPasswordExchangeFailed,
}

type Predicate = keyof typeof PREDICATES

interface Situation {
  readonly when: string
  /** Causes the error for real, and returns it; undefined where this server cannot. */
  readonly cause: (t: Test) => Promise<unknown>
  /** A SQLSTATE, or the beginning of the message where there is none. */
  readonly expected: { readonly sqlstate: string } | { readonly message: string | RegExp }
  /** Which questions are answered with yes; all others with no. */
  readonly yes: readonly Predicate[]
}

const SITUATIONS: readonly Situation[] = [
  {
    when: 'an administrator terminates an idle session',
    cause: async (t) => (await loseIdleConnection(t)).error,
    expected: { sqlstate: '57P01' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'a query is sent on a connection that broke',
    cause: async (t) => {
      const { client } = await loseIdleConnection(t)
      return failing(client.query('select 1'))
    },
    expected: { message: 'Client has encountered a connection error' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'the server closes the connection during a query',
    cause: (t) => loseDuringQuery(t, (socket) => socket.end()),
    expected: { message: 'Connection terminated unexpectedly' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'the network breaks during a query',
    cause: (t) => loseDuringQuery(t, (socket) => socket.resetAndDestroy()),
    expected: { message: /ECONNRESET/ },
    yes: ['isConnectionLost'],
  },
  {
    when: 'the client closes its connection during a query',
    cause: async (t) => {
      const client = await openTestClient(t)
      const error = failing(client.query('select pg_sleep(60)'))
      await client.end()
      return error
    },
    expected: { message: 'Connection terminated' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'a query is sent on a closed connection',
    cause: async (t) => {
      const client = await openTestClient(t)
      await client.end()
      return failing(client.query('select 1'))
    },
    expected: { message: 'Client was closed' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'the server does not answer a query in time',
    cause: async (t) =>
      failing((await openTestClient(t, { query_timeout: 50 })).query('select pg_sleep(60)')),
    expected: { message: 'Query read timeout' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'the server does not answer a new connection in time',
    cause: async (t) => {
      const url = await startFakeServer(t, () => {})
      return failing(new pg.Client({ ...toConfig(url), connectionTimeoutMillis: 50 }).connect())
    },
    expected: { message: 'timeout expired' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'the server does not answer a new connection of the pool in time',
    cause: async (t) => {
      const pool = openPool(t, await startFakeServer(t, () => {}))
      return failing(pool.query('select 1'))
    },
    expected: { message: 'Connection terminated due to connection timeout' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'no connection of the pool becomes free in time',
    cause: async (t) => {
      const { url } = await createTestDatabase(t, { from: 'empty' })
      const pool = openPool(t, url, 5000)
      const only = await pool.connect()
      pool.options.connectionTimeoutMillis = 50
      const error = await failing(pool.connect())
      only.release()
      return error
    },
    expected: { message: 'timeout exceeded when trying to connect' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'no server listens on the port',
    cause: async () =>
      failing(new pg.Client(`postgres://a:b@127.0.0.1:${await findFreePort()}/db`).connect()),
    expected: { message: /ECONNREFUSED/ },
    yes: ['isConnectionLost'],
  },
  {
    when: 'no server listens on any address of the host',
    cause: connectToTwoAddresses,
    expected: { message: '' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'the host name does not resolve',
    cause: () => failing(new pg.Client('postgres://a:b@no-such-host.invalid/db').connect()),
    expected: { message: /ENOTFOUND|EAI_AGAIN/ },
    yes: ['isConnectionLost'],
  },
  {
    when: 'a time limit ends an idle session',
    cause: (t) => loseByTimeout(t, `set idle_session_timeout = '10ms'`),
    expected: { sqlstate: '57P05' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'a time limit ends a session that is idle in a transaction',
    cause: (t) => loseByTimeout(t, `set idle_in_transaction_session_timeout = '10ms'; begin`),
    expected: { sqlstate: '25P03' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'a time limit ends a long transaction',
    cause: async (t) => {
      const client = await openTestClient(t)
      const { rowCount } = await client.query(
        `select from pg_settings where name = 'transaction_timeout'`,
      )
      if (rowCount === 0) return undefined
      return failing(client.query(`set transaction_timeout = '10ms'; begin; select pg_sleep(60)`))
    },
    expected: { sqlstate: '25P04' },
    yes: ['isConnectionLost'],
  },
  {
    when: 'the server is starting up',
    cause: async (t) => {
      const url = await startFakeServer(t, (socket) => socket.end(fatalError('57P03')))
      return failing(new pg.Client(toConfig(url)).connect())
    },
    expected: { sqlstate: '57P03' },
    yes: ['isConnectionLost', 'isConnectionRefusedForNow'],
  },
  {
    when: 'a pooler reports a failed connection',
    cause: async (t) => {
      const url = await startFakeServer(t, (socket) => socket.end(fatalError('08006')))
      return failing(new pg.Client(toConfig(url)).connect())
    },
    expected: { sqlstate: '08006' },
    yes: ['isConnectionLost', 'isConnectionRefusedForNow'],
  },
  {
    when: 'the role has too many connections',
    cause: async (t) => {
      const role = await createTestRole(t, 'login connection limit 0')
      const { url } = await createTestDatabase(t, { from: 'empty' })
      const limited = Object.assign(new URL(url), { username: role })
      return failing(new pg.Client(limited.href).connect())
    },
    expected: { sqlstate: '53300' },
    yes: ['isConnectionRefusedForNow', 'isOutOfResources'],
  },
  {
    when: 'a query needs more space for temporary files than allowed',
    cause: async (t) => {
      const client = await openTestClient(t)
      await client.query(`set temp_file_limit = 0; set work_mem = '64kB'`)
      return failing(client.query('select n from generate_series(1, 100000) n order by -n'))
    },
    expected: { sqlstate: '53400' },
    yes: ['isOutOfResources'],
  },
  {
    when: 'another session holds the lock',
    cause: async (t) => {
      const [first, second] = await openTwo(t)
      await first.query('create table public.t ()')
      await first.query('begin; lock table public.t')
      return failing(second.query('begin; lock table public.t nowait'))
    },
    expected: { sqlstate: '55P03' },
    yes: ['isBlocked'],
  },
  {
    when: 'two sessions deadlock',
    cause: async (t) => {
      const [first, second] = await openTwo(t)
      await first.query('begin; select pg_advisory_xact_lock(1)')
      await second.query(`set deadlock_timeout = '10ms'; begin; select pg_advisory_xact_lock(2)`)
      const waiting = first.query(`set deadlock_timeout = '1min'; select pg_advisory_xact_lock(2)`)
      const error = await failing(second.query('select pg_advisory_xact_lock(1)'))
      await second.query('rollback')
      await waiting
      return error
    },
    expected: { sqlstate: '40P01' },
    yes: ['isBlocked'],
  },
  {
    when: 'the role lacks a privilege',
    cause: async (t) => {
      const role = await createTestRole(t, 'nologin')
      const client = await openTestClient(t)
      await client.query(`create table public.t (); set role ${role}`)
      return failing(client.query('select from public.t'))
    },
    expected: { sqlstate: '42501' },
    yes: ['isInsufficientPrivilege'],
  },
  {
    when: 'a row violates a unique constraint',
    cause: (t) => failing(insertInto(t, 'id int unique', '(1), (1)')),
    expected: { sqlstate: '23505' },
    yes: ['isConstraintViolation'],
  },
  {
    when: 'a row violates a check constraint',
    cause: (t) => failing(insertInto(t, 'id int check (id > 1)', '(1)')),
    expected: { sqlstate: '23514' },
    yes: ['isConstraintViolation'],
  },
  {
    when: 'a statement runs into its time limit',
    cause: async (t) =>
      failing(
        (await openTestClient(t)).query(`set statement_timeout = '10ms'; select pg_sleep(60)`),
      ),
    expected: { sqlstate: '57014' },
    yes: [],
  },
  {
    when: 'a statement has a syntax error',
    cause: async (t) => failing((await openTestClient(t)).query('selec 1')),
    expected: { sqlstate: '42601' },
    yes: [],
  },
  {
    when: 'a function raises its own SQLSTATE',
    cause: async (t) =>
      failing(
        (await openTestClient(t)).query(`do $$ begin raise 'no' using errcode = 'KBRLK'; end $$`),
      ),
    expected: { sqlstate: 'KBRLK' },
    yes: [],
  },
  {
    when: 'the URL has no password and the server requires one',
    cause: async (t) => {
      const url = await startFakeServer(t, demandPassword)
      return failing(new pg.Client({ ...toConfig(url), password: '' }).connect())
    },
    expected: { message: 'SASL' },
    yes: ['isPasswordExchangeFailed'],
  },
  {
    when: 'a file does not exist',
    cause: async () => failing((async () => readFileSync('/no/such/file'))()),
    expected: { message: 'ENOENT' },
    yes: [],
  },
]

for (const { when, cause, expected, yes } of SITUATIONS) {
  test(`when ${when}`, async (t) => {
    const error = await settled('the error', cause(t))
    if (error === undefined) {
      t.pass('error', { skip: 'NOT TESTED: this version of PostgreSQL has no such limit' })
      return
    }

    if ('sqlstate' in expected) t.equal(sqlstateOf(error), expected.sqlstate)
    else {
      t.equal(sqlstateOf(error), undefined)
      t.match((error as Error).message, expected.message)
    }
    t.strictSame(
      Object.entries(PREDICATES).flatMap(([name, holds]) => (holds(error) ? [name] : [])),
      yes,
    )
  })
}

test('a value that is no error of a database answers every question with no', async (t) => {
  for (const value of [undefined, null, 'text', 42, {}, new Error('other'), { code: 'EPIPE!' }]) {
    t.equal(sqlstateOf(value), undefined)
    for (const holds of Object.values(PREDICATES)) t.equal(holds(value), false)
  }
})

test('system error names of five letters are no SQLSTATE', async (t) => {
  for (const code of ['EPIPE', 'EPERM', 'EBUSY']) t.equal(sqlstateOf({ code }), undefined)
})

test('an error is described by its message, and its code where the message lacks it', async (t) => {
  const client = await openTestClient(t)

  t.equal(
    describeError(await failing(client.query('selec 1'))),
    'syntax error at or near "selec" (42601)',
  )
  t.match(
    describeError(await failing(new pg.Client('postgres://a:b@no-such-host.invalid/db').connect())),
    /^getaddrinfo (ENOTFOUND|EAI_AGAIN) no-such-host\.invalid$/,
  )
  t.match(
    describeError(await connectToTwoAddresses()),
    /^connect ECONNREFUSED 127\.0\.0\.1:\d+, connect ECONNREFUSED 127\.0\.0\.2:\d+$/,
  )
  t.equal(describeError(new TypeError('')), 'TypeError')
  t.equal(describeError('text'), 'text')
})

async function failing(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => new Error('did not fail'),
    (error) => error,
  )
}

async function loseIdleConnection(t: Test): Promise<{ client: pg.Client; error: unknown }> {
  const [client, other] = await openTwo(t)
  const { rows } = await client.query('select pg_backend_pid() as pid')
  const lost = once(client, 'error')
  await other.query('select pg_terminate_backend($1)', [rows[0].pid])
  const [error] = await lost
  return { client, error }
}

async function loseDuringQuery(t: Test, lose: (socket: Socket) => void): Promise<unknown> {
  const url = await startFakeServer(t, (socket) => {
    acceptLogin(socket)
    socket.once('data', () => lose(socket))
  })
  return failing((await open(t, url)).query('select 1'))
}

async function loseByTimeout(t: Test, sql: string): Promise<unknown> {
  const client = await openTestClient(t)
  const lost = once(client, 'error')
  await client.query(sql)
  const [error] = await lost
  return error
}

async function insertInto(t: Test, columns: string, rows: string): Promise<void> {
  const client = await openTestClient(t)
  await client.query(`create table public.t (${columns}); insert into public.t values ${rows}`)
}

async function openTestClient(t: Test, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  return open(t, url, options)
}

async function openTwo(t: Test): Promise<[pg.Client, pg.Client]> {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  return [await open(t, url), await open(t, url)]
}

async function open(t: Test, url: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ ...toConfig(url), ...options })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => void client.end().catch(() => {}))
  return client
}

function openPool(t: Test, url: string, connectionTimeoutMillis = 50): pg.Pool {
  const pool = new pg.Pool({ ...toConfig(url), max: 1, connectionTimeoutMillis })
  pool.on('error', () => {})
  t.teardown(() => pool.end())
  return pool
}

function toConfig(url: string): pg.ClientConfig {
  return { connectionString: url }
}

/** What Node.js reports for a host name with two addresses: one error with one error for each. */
async function connectToTwoAddresses(): Promise<unknown> {
  const lookup: LookupFunction = (_host, _options, found) =>
    found(null, [
      { address: '127.0.0.1', family: 4 },
      { address: '127.0.0.2', family: 4 },
    ])
  const socket = connect({ host: 'two-addresses', port: await findFreePort(), lookup })
  const [error] = await once(socket, 'error').catch((error) => [error])
  return error
}
