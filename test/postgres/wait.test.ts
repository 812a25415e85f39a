import { randomBytes } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { test } from 'tap'
import { waitForDatabase } from '../../src/postgres/wait.ts'
import { findFreePort } from '../support/port.ts'
import { createTestDatabase } from '../support/postgres.ts'

test('a database that is there is described at once', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const { rows } = await pool.query('show server_version')

  t.strictSame(await wait(url), { serverVersion: rows[0].server_version })
})

test('what waiting does not mend is an error at once', async (t) => {
  const { url, pool, name } = await createTestDatabase(t, { from: 'empty' })
  const role = `wait_${randomBytes(4).toString('hex')}`
  await pool.query(`create role ${role} login`)
  t.teardown(async () => {
    await pool.query(`drop owned by ${role}; drop role ${role}`)
  })

  await t.test('a database that does not exist', async (t) => {
    await t.rejects(wait(change(url, { pathname: '/nowhere' })), {
      code: 'database_missing',
      exitCode: 3,
    })
  })

  await t.test('a user that does not exist', async (t) => {
    await t.rejects(wait(change(url, { username: 'nobody_here' })), {
      code: /^database_(login_refused|password_wrong)$/,
      exitCode: 3,
    })
  })

  await t.test('a user that may not connect', async (t) => {
    await pool.query(`revoke connect on database ${name} from public`)
    t.teardown(() => pool.query(`grant connect on database ${name} to public`))
    await t.rejects(wait(change(url, { username: role })), {
      code: 'database_connect_denied',
      exitCode: 3,
    })
  })

  await t.test('a database that is read-only', async (t) => {
    await pool.query(`alter database ${name} set default_transaction_read_only = on`)
    t.teardown(() =>
      pool.query(
        `set default_transaction_read_only = off;
         alter database ${name} reset default_transaction_read_only`,
      ),
    )
    await t.rejects(wait(url), { code: 'database_read_only', exitCode: 3 })
  })
})

test('a PostgreSQL older than 15 is an error at once', async (t) => {
  const url = await pretend(t, (socket) => answerWith(socket, ['14.9', '14', 'f']))

  await t.rejects(wait(url), { code: 'database_too_old', exitCode: 3 })
})

for (const [name, sqlState] of [
  ['is starting up', '57P03'],
  ['has too many connections', '53300'],
] as const) {
  test(`a server that ${name} is tried again`, async (t) => {
    let tries = 0
    const url = await pretend(t, (socket) => {
      if (++tries < 3) socket.end(failure(sqlState))
      else answerWith(socket, ['18.4', '18', 'f'])
    })

    t.match(await wait(url), { serverVersion: '18.4' })
    t.equal(tries, 3)
  })
}

test('a server that is not there is waited for as long as it was said, and no longer', async (t) => {
  const lines: unknown[] = []
  const url = `postgres://someone:the-password@127.0.0.1:${await findFreePort()}/somewhere`

  const started = performance.now()
  const error = await wait(url, { waitMs: 1300, lines }).catch((error) => error)

  t.match(error, { code: 'database_not_reached', exitCode: 3 })
  t.ok(performance.now() - started >= 1300)
  t.ok(lines.length >= 1 && lines.length <= 2, 'one line a second at most')
  t.notMatch(JSON.stringify([lines, error.message]), 'the-password')
})

test('a host that has no address yet is waited for', async (t) => {
  const error = await wait('postgres://a:b@no-such-host.invalid/db', { waitMs: 300 }).catch(
    (error) => error,
  )

  t.match(error, { code: 'database_not_reached' })
})

test('a server that appears is found', async (t) => {
  const port = await findFreePort()
  const lines: unknown[] = []
  const found = wait(`postgres://a:b@127.0.0.1:${port}/db`, { waitMs: 20_000, lines })
  while (lines.length === 0) await new Promise(setImmediate)

  await pretend(t, (socket) => answerWith(socket, ['18.4', '18', 'f']), port)

  t.match(await found, { serverVersion: '18.4' })
})

test('the signal ends the wait, also for a server that takes calls and says nothing', async (t) => {
  const stop = new AbortController()
  const reason = new Error('stop')
  const url = await pretend(t, () => stop.abort(reason))

  t.equal(await wait(url, { waitMs: 60_000, signal: stop.signal }).catch((error) => error), reason)
})

test('a server that takes calls and says nothing is told of, and given up in time', async (t) => {
  const lines: unknown[] = []
  const url = await pretend(t, () => {})

  const started = performance.now()
  const error = await wait(url, { waitMs: 1500, lines }).catch((error) => error)

  t.match(error, { code: 'database_not_reached' })
  t.ok(performance.now() - started < 4000)
  t.ok(lines.length > 0)
})

interface WaitOptions {
  readonly waitMs?: number
  readonly lines?: unknown[]
  readonly signal?: AbortSignal
}

function wait(url: string, options: WaitOptions = {}) {
  const write = (...line: unknown[]) => options.lines?.push(line)
  return waitForDatabase(url, {
    waitMs: options.waitMs ?? 30_000,
    applicationName: 'wait test',
    log: { debug: write, info: write, warn: write, error: write },
    signal: options.signal ?? new AbortController().signal,
  })
}

function change(url: string, parts: Partial<Pick<URL, 'pathname' | 'username'>>): string {
  return Object.assign(new URL(url), parts).href
}

/** A server that says what a test wants once it has been greeted: states that are hard to be in. */
async function pretend(
  t: { teardown(work: () => unknown): unknown },
  greet: (socket: Socket) => void,
  port = 0,
): Promise<string> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.once('data', () => greet(socket))
  }).listen(port, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return `postgres://someone:the-password@127.0.0.1:${address.port}/somewhere`
}

/** Lets the client in and answers its question about the server. */
function answerWith(socket: Socket, row: readonly [string, string, string]): void {
  const names = ['version', 'major', 'readOnly']
  const types = [25, 23, 16]
  const fields = names.map((name, at) =>
    Buffer.concat([
      text(name),
      int32(0),
      int16(0),
      int32(types[at] ?? 25),
      int16(-1),
      int32(-1),
      int16(0),
    ]),
  )
  const values = row.map((value) => Buffer.concat([int32(value.length), Buffer.from(value)]))
  socket.write(Buffer.concat([message('R', int32(0)), message('Z', Buffer.from('I'))]))
  socket.once('data', () =>
    socket.write(
      Buffer.concat([
        message('T', int16(3), ...fields),
        message('D', int16(3), ...values),
        message('C', text('SELECT 1')),
        message('Z', Buffer.from('I')),
      ]),
    ),
  )
}

function failure(sqlState: string): Buffer {
  return message('E', text('SFATAL'), text(`C${sqlState}`), text('Mnot now'), Buffer.from([0]))
}

/** One message of PostgreSQL's protocol: its letter, its length, its content. */
function message(letter: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(letter), int32(body.length + 4), body])
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`)
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
