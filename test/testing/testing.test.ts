import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Test, test } from 'tap'
import { giveBackAbandoned } from '../../testing/abandoned.ts'
import { readEnvironment } from '../../testing/environment.ts'
import { databaseFixture } from '../../testing/fixture.ts'
import { registerDatabase } from '../../testing/hooks.ts'
import { leaseDatabase } from '../../testing/lease.ts'
import { withLock } from '../../testing/lock.ts'
import { openRunFolder } from '../../testing/run-folder.ts'
import { acquireSharedService } from '../../testing/shared-service.ts'
import { stopWhenUnused } from '../../testing/stop-when-unused.ts'
import { settled, until } from '../support/until.ts'

const TOKEN = 'a-token-long-enough'
/** Larger than any pid of Linux and macOS. */
const NO_PID = 99_999_999
const HISTORY = { last: '000002', hash: 'sha1:0' }

test('the environment names a service, or the settings for a new one', async (t) => {
  t.match(readEnvironment({ COMMANDBUS_DB_URL: 'http://db:8080/', TEST_DATABASES_TOKEN: TOKEN }), {
    service: { url: 'http://db:8080', token: TOKEN },
  })
  t.throws(() => readEnvironment({ COMMANDBUS_DB_URL: 'http://db' }), /TEST_DATABASES_TOKEN is not/)
  const env = {
    DATABASE_URL: 'postgres://production',
    LOG_LEVEL: 'silent',
    MIGRATIONS_DIR: 'here',
    E2E_SCHEMA: 'off',
  }
  const { service, settings } = readEnvironment(env)
  t.equal(service, undefined)
  t.same(settings, { MIGRATIONS_DIR: resolve('here'), E2E_SCHEMA: 'off' })
})

test('the variables of placeholders reach a new service, but no database of the application', (t) => {
  const placeholders = `{":TENANT": "!ENV", ":FIXED": "x", ':OTHER' : '!ENV', ":DATABASE_URL": "!ENV"}`
  const folder = t.testdir({ '.gmrc': `{ "placeholders": ${placeholders} }`, migrations: {} })
  const env = { TENANT: 'a', FIXED: 'b', OTHER: 'c', DATABASE_URL: 'postgres://production' }
  const MIGRATIONS_DIR = join(folder, 'migrations')
  t.same(readEnvironment({ ...env, MIGRATIONS_DIR }).settings, {
    TENANT: 'a',
    OTHER: 'c',
    MIGRATIONS_DIR,
  })
  t.end()
})

test('a run belongs to the process that started its workers', async (t) => {
  const isChild = process.connected
  t.equal(readEnvironment({ NODE_TEST_CONTEXT: 'child-v8' }).runnerPid, process.ppid)
  t.equal(readEnvironment({ TAP_CHILD_ID: '3' }).runnerPid, process.ppid)
  t.equal(readEnvironment({}).runnerPid, isChild ? process.ppid : process.pid)
})

test('a lease is extended until it is released, once', async (t) => {
  const { service, requests, answer } = await startServer(t)

  const database = await leaseDatabase({ service, label: 'me', ttlSeconds: 0.06, through: '1' })
  t.match(database, { id: 'id-1', name: 'shop_test_1', url: 'postgres://1', history: HISTORY })
  await until(
    'it is extended twice',
    () => requests.filter((line) => line.startsWith('PUT')).length > 1,
  )
  await database.release()
  await database[Symbol.asyncDispose]()

  const [first, second] = requests
  t.equal(
    first,
    `POST /databases Bearer ${TOKEN} {"ttlSeconds":0.06,"waitMs":60000,"label":"me","through":"1"}`,
  )
  t.equal(second, `PUT /databases/id-1/expiry Bearer ${TOKEN} {"ttlSeconds":0.06}`)
  t.equal(requests.filter((line) => line.startsWith('DELETE /databases/id-1 ')).length, 1)

  answer('DELETE', 404, { code: 'lease_not_found' })
  await (await leaseDatabase({ service })).release()
})

test('a service that starts is waited for; refusals say what to do', async (t) => {
  const { service, requests, answer } = await startServer(t)
  answer('POST', 503, { code: 'not_ready' })
  const waiting = leaseDatabase({ service })
  await until('the service was asked', () => requests.length > 0)
  answer('POST', undefined)
  await (await waiting).release()

  answer('POST', 401, { code: 'token_wrong', detail: 'not this one' })
  await t.rejects(
    leaseDatabase({ service }),
    /401 \(token_wrong\): not this one; set TEST_DATABASES_TOKEN/,
  )
  answer('POST', 404, { code: 'route_not_found', detail: 'no route' })
  await t.rejects(leaseDatabase({ service }), /start the service with TEST_DATABASES_MAX above 0/)
  t.match(await leaseDatabase({ service }).catch((cause) => cause), {
    ...{ name: 'TestDatabaseError', code: 'route_not_found', status: 404 },
  })
  const nowhere = leaseDatabase({ service: { url: 'http://127.0.0.1:1', token: TOKEN } })
  const error = await nowhere.catch((cause) => cause)
  t.match(error, { name: 'TestDatabaseError', code: 'service_unreachable', status: undefined })
  t.match(error.message, /cannot reach the service .* at http:\/\/127\.0\.0\.1:1/)
  t.notOk(String(error.stack).includes(TOKEN))
})

test('a service that would lend nothing is not started', async (t) => {
  const settings = { TEST_DATABASES_MAX: '0' }
  await t.rejects(
    acquireSharedService({ settings, runnerPid: process.pid }),
    /^TEST_DATABASES_MAX is 0, .*: unset it, or set it above 0/,
  )
})

test('an option that is unknown is refused with those that are known', async (t) => {
  const { service, requests } = await startServer(t)
  const misspelt = { service, ttlSecond: 60 } as object
  const error = await leaseDatabase(misspelt).catch((cause) => cause)
  t.match(error, {
    code: 'options_wrong',
    message: 'unknown option ttlSecond: expected only service, label, waitMs, ttlSeconds, through',
  })
  t.strictSame(requests, [])
})

test('hooks borrow and return a database, and return it if the tear-down fails', async (t) => {
  const { service, requests } = await startServer(t)
  const hooks: Record<string, () => Promise<void>> = {}
  const register = (name: string) => (hook: () => Promise<void>) => {
    hooks[name] = hook
  }
  const runner = {
    beforeAll: register('beforeAll'),
    afterAll: register('afterAll'),
    beforeEach: register('beforeEach'),
    afterEach: register('afterEach'),
  }
  const opened: string[] = []
  const database = registerDatabase(runner, {
    service,
    per: 'test',
    setUp: ({ url }) => opened.push(url),
    tearDown: () => Promise.reject(new Error('cannot close')),
  })

  t.same(Object.keys(hooks), ['beforeEach', 'afterEach'])
  t.throws(() => database.url, /there is no test database here/)
  await hooks.beforeEach?.()
  t.equal(database.name, 'shop_test_1')
  await t.rejects(async () => hooks.afterEach?.(), /cannot close/)
  t.throws(() => database.url)
  await hooks.beforeEach?.()
  t.same(opened, ['postgres://1', 'postgres://2'])
  t.equal(requests.filter((line) => line.startsWith('DELETE')).length, 1)
  await hooks.afterEach?.().catch(() => {})
})

test('a fixture returns its database even if the test fails', async (t) => {
  const { service, requests } = await startServer(t)
  const [fixture, { scope }] = databaseFixture({ service, per: 'test' })

  t.equal(scope, 'test')
  await t.rejects(
    fixture({}, async ({ name }) => {
      throw new Error(`failed on ${name}`)
    }),
    /failed on shop_test_1/,
  )
  t.match(requests.at(-1), /^DELETE/)
})

test('a lock is held by one at a time, and taken from the dead', async (t) => {
  const path = join(createFolder(t), 'lock')
  writeFileSync(path, String(NO_PID))
  let holders = 0
  const work = async () => {
    t.equal(++holders, 1)
    await new Promise((resolve) => setImmediate(resolve))
    holders--
  }

  await Promise.all([1, 2, 3, 4].map(() => withLock(path, work, { waitMs: 10_000 })))

  writeFileSync(path, String(process.pid))
  await t.rejects(
    withLock(path, work, { waitMs: 0 }),
    new RegExp(`process ${process.pid} did not release .*lock within 0 ms`),
  )
})

test('a service is stopped when its users are dead, and its record is withdrawn', async (t) => {
  const folder = openRunFolder(join(createFolder(t), 'run'))
  folder.addUser(NO_PID)
  folder.writeRecord({ pid: 1, address: { url: 'http://there', token: TOKEN } })

  const stopped = new Promise<void>((resolve) => void stopWhenUnused(folder, resolve))
  await settled('it is stopped', stopped)

  t.same(folder.readRecord(), { pid: process.pid })
  t.same(readdirSync(join(folder.path, 'users')), [])
})

test('what a process borrowed that crashed is given back, when no session is left in it', async (t) => {
  const { service, requests, answer } = await startServer(t)
  const folder = openRunFolder(join(createFolder(t), 'run'))
  folder.addLease('mine')
  writeFileSync(join(folder.path, 'leases', `abandoned.${NO_PID}`), '')

  await giveBackAbandoned(folder)
  t.same(requests, [], 'nothing before the service is recorded')
  folder.writeRecord({ pid: process.pid, address: service })
  answer('GET', 200, { connections: 1 })
  await giveBackAbandoned(folder)
  t.same(requests, [`GET /databases/abandoned Bearer ${TOKEN} `])
  answer('GET', 200, { connections: 0 })
  await giveBackAbandoned(folder)
  t.equal(requests.at(-1), `DELETE /databases/abandoned Bearer ${TOKEN} `)

  t.same(readdirSync(join(folder.path, 'leases')), [`mine.${process.pid}`])
  folder.removeLease('mine')
  t.same(readdirSync(join(folder.path, 'leases')), [])
})

function createFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-testing-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A stand-in for the service that records requests, and answers as told. */
async function startServer(t: Test) {
  const requests: string[] = []
  const refusals = new Map<string, { status: number; body: object }>()
  let lent = 0
  const server = createServer(async (request, response) => {
    const { method = '', url, headers } = request
    const body = (await request.toArray()).join('')
    requests.push(`${method} ${url} ${headers.authorization} ${body}`)
    const refusal = refusals.get(method)
    if (refusal !== undefined) {
      response.writeHead(refusal.status).end(JSON.stringify(refusal.body))
    } else if (method === 'POST') {
      lent++
      const database = { id: `id-${lent}`, name: `shop_test_${lent}`, url: `postgres://${lent}` }
      response.writeHead(201).end(JSON.stringify({ ...database, history: HISTORY }))
    } else {
      response.writeHead(method === 'DELETE' ? 204 : 200).end(method === 'DELETE' ? '' : '{}')
    }
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    service: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: TOKEN },
    requests,
    answer(method: string, status: number | undefined, body: object = {}) {
      if (status === undefined) refusals.delete(method)
      else refusals.set(method, { status, body })
    },
  }
}
