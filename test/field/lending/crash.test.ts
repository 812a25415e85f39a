// A lease does not wait for the disk, so a crash of the server forgets the last ones: their databases must not be
// lent again. Here the server writes nothing to its log by itself, and each case first shows that it has forgotten one.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { until } from '../../support/until.ts'
import {
  type LendingService,
  type Lent,
  type Response,
  runIn,
} from '../../test-databases/lending.ts'
import { withScope } from '../faults/scope.ts'
import { createTemplate, DATABASE, ROLE } from '../faults/server.ts'
import { DIRT, openWorld, PASSWORD, type World } from '../faults/world.ts'
import { startLending } from './situations.ts'

/** One is lent at once, and one more is kept ready. */
const ONE = { TEST_DATABASES_MAX: '1' }
const COPIES = 2

test('a server that crashes under a service: the lease goes on, and what is not lent is dropped', async (t) => {
  await withScope(async (scope) => {
    const world = await openWorld(scope, await createTemplate(scope, PASSWORD))
    const service = await startFull(world)
    const lent = await lendForgettably(world, service, 'ready')
    const others = (await listDatabases(world)).filter((name) => name !== lent.name)
    await crash(world)
    t.equal(await readState(world, lent), 'ready', 'the server has forgotten a lease')
    letServiceIn(world)

    const { body } = await ask(service, 'GET', lent)
    t.equal(body.name, lent.name, 'the lease goes on')
    await runIn(lent.url, DIRT)
    await service.giveBack(lent)
    await service.waitForCounts({ lent: 0, ready: COPIES })
    const left = await listDatabases(world)
    t.ok(left.includes(lent.name), 'it is cleaned and kept')
    t.equal(
      others.filter((name) => left.includes(name)).length,
      1,
      'of the others only the template is left',
    )
    await assertNothingLeft(t, world, service)
  })
})

test('a server that crashes while a service is cut off: another one does not lend what that has lent', async (t) => {
  await withScope(async (scope) => {
    const world = await openWorld(scope, await createTemplate(scope, PASSWORD))
    const cutOff = await startFull(world)
    const urlFile = join(world.server.folder, 'direct-url')
    writeFileSync(
      urlFile,
      `postgres://${ROLE}:${PASSWORD}@127.0.0.1:${world.server.port}/${DATABASE}`,
    )
    const service = await startLending(world, { ...ONE, DATABASE_URL_FILE: urlFile })
    await service.waitForCounts({ lent: 0, ready: COPIES + 1 })
    const lent = await lendForgettably(world, cutOff, 'ready')
    await crash(world)
    t.equal(await readState(world, lent), 'ready', 'the server has forgotten a lease')

    const next = await lendAgain(service)
    t.not(next.name, lent.name, 'another one is lent')
    t.not(await readState(world, lent), 'ready')
    letServiceIn(world)
    t.match(await ask(cutOff, 'DELETE', lent), { status: 404 })
    await service.giveBack(next)
    await waitForState(world, lent, undefined)
    t.match(await cutOff.stop(), { code: 0 })
    await assertNothingLeft(t, world, service)
  })
})

test('a server that crashes before a database was clean: it is dropped, although it is lent', async (t) => {
  await withScope(async (scope) => {
    const world = await openWorld(scope, await createTemplate(scope, PASSWORD))
    const service = await startFull(world)
    const lent = await lendForgettably(world, service, 'returned')
    await crash(world)
    t.equal(await readState(world, lent), 'returned', 'the server has forgotten a lease')
    letServiceIn(world)

    t.not((await lendAgain(service)).name, lent.name, 'another one is lent')
    t.match(await ask(service, 'DELETE', lent), { status: 404 })
    await waitForState(world, lent, undefined)
  })
})

test('a server that crashes with its service: what may have been lent is not lent again', async (t) => {
  await withScope(async (scope) => {
    const world = await openWorld(scope, await createTemplate(scope, PASSWORD))
    const killed = await startFull(world)
    const lent = await lendForgettably(world, killed, 'ready')
    // In this order: the end of a session that has functions is written to the log, and waits for the disk.
    await world.server.stop('SIGQUIT')
    await killed.stop('SIGKILL')
    await world.server.start()
    t.equal(await readState(world, lent), 'ready', 'the server has forgotten a lease')

    const service = await startLending(world, ONE)
    const next = await lendAgain(service)
    t.not(next.name, lent.name, 'another one is lent')
    t.match(await ask(service, 'DELETE', lent), { status: 404 })
    await service.giveBack(next)
    await waitForState(world, lent, undefined)
    await service.waitForCounts({ lent: 0, ready: COPIES })
    await assertNothingLeft(t, world, service)
  })
})

test('without the note that a crash takes away, a database would be lent twice', async (t) => {
  await withScope(async (scope) => {
    const world = await openWorld(scope, await createTemplate(scope, PASSWORD))
    const service = await startFull(world)
    const lent = await lendForgettably(world, service, 'ready')
    await crash(world)
    t.equal(await readState(world, lent), 'ready', 'the server has forgotten a lease')
    await world.server.query('insert into provisioning.test_database_crash_check default values')
    letServiceIn(world)
    t.equal((await lendAgain(service)).name, lent.name)
  })
})

test('a clean stop of the server forgets nothing', async (t) => {
  await withScope(async (scope) => {
    const world = await openWorld(scope, await createTemplate(scope, PASSWORD))
    const service = await startFull(world)
    const before = await listDatabases(world)
    const lent = await lendForgettably(world, service, 'ready')
    await world.server.stop('SIGINT')
    await world.server.start()
    t.match(await ask(service, 'GET', lent), { status: 200 })
    await service.giveBack(lent)
    await service.waitForCounts({ lent: 0, ready: COPIES })
    t.strictSame(await listDatabases(world), before, 'the same databases are there')
  })
})

/** Starts a service that has as many copies as it makes, on a server whose log is only written by those who wait for it. */
async function startFull(world: World): Promise<LendingService> {
  await world.server.query(`alter system set wal_writer_delay = '10s'`)
  await world.server.query(`alter system set wal_writer_flush_after = '1GB'`)
  // A page that is written takes the log along.
  await world.server.query('alter system set bgwriter_lru_maxpages = 0')
  await world.server.query(`alter system set shared_buffers = '128MB'`)
  await world.server.stop('SIGINT')
  await world.server.start()
  const service = await startLending(world, ONE)
  const first = await service.lend()
  await service.waitForCounts({ lent: 1, ready: COPIES - 1 })
  await service.giveBack(first)
  await service.waitForCounts({ lent: 0, ready: COPIES })
  return service
}

/**
 * Borrows a database by a lease that is not in the log's file. The last that is there of it is this state: it was cleaned
 * after its last return, or not yet.
 */
async function lendForgettably(
  world: World,
  service: LendingService,
  state: 'ready' | 'returned',
): Promise<Lent> {
  for (let attempt = 0; attempt < 5; attempt++) {
    // Then the process that writes the log does it at once, and again in ten seconds.
    await world.server.query('select pg_reload_conf()')
    const first = await service.lend()
    await service.giveBack(first)
    const returned = await readLog(world)
    await waitForState(world, first, 'ready')
    if (state === 'ready')
      await world.server.query(`select pg_logical_emit_message(true, 'test', '')`)
    const ready = await readLog(world)
    const lent = await service.lend()
    const { inFile } = await readLog(world)
    if (inFile <= (state === 'ready' ? ready : returned).end) return lent
    await service.giveBack(lent)
    await waitForState(world, lent, 'ready')
  }
  throw new Error('the log was in its file each time')
}

/** How far the log goes, and how far it is in its file, where it survives the end of the server's processes. */
async function readLog({ server }: World): Promise<{ end: bigint; inFile: bigint }> {
  const { rows } = await server.query(
    `select (pg_current_wal_insert_lsn() - '0/0')::text as end,
            (pg_current_wal_lsn() - '0/0')::text as "inFile"`,
  )
  return { end: BigInt(rows[0].end), inFile: BigInt(rows[0].inFile) }
}

/** Kills a session, so that the server ends all others and recovers; the service learns nothing of it yet. */
async function crash({ server, proxy }: World): Promise<void> {
  const client = await server.connect()
  const { rows } = await client.query('select pg_backend_pid() as pid')
  proxy.swallow()
  process.kill(rows[0].pid, 'SIGKILL')
  await until('the server has recovered', () =>
    server.query('select from provisioning.test_database_crash_check').then(
      ({ rowCount }) => rowCount === 0,
      () => false,
    ),
  )
}

function letServiceIn({ proxy }: World): void {
  proxy.cut()
  proxy.restore()
}

async function lendAgain(service: LendingService): Promise<Lent> {
  return (await ask(service, 'POST')).body
}

/** As a client that tries again while the service knows that the database was away, or not yet. */
async function ask(service: LendingService, method: string, { id }: { id?: string } = {}) {
  let answer: Response | undefined
  await until(`an answer to ${method}`, async () => {
    answer = await service.call(method, id === undefined ? '/databases' : `/databases/${id}`)
    return ![429, 503].includes(answer.status)
  })
  return answer as Response
}

async function assertNothingLeft(t: Test, world: World, service: LendingService): Promise<void> {
  t.match(await service.stop(), { code: 0 })
  t.equal((await listDatabases(world)).length, 1, 'only the template is left')
}

/** As the table has it; undefined where it is not listed. */
async function readState({ server }: World, { name }: Lent): Promise<string | undefined> {
  const { rows } = await server.query(
    `select state from provisioning.test_database where name = '${name}'`,
  )
  return rows[0]?.state
}

async function waitForState(world: World, lent: Lent, state: string | undefined): Promise<void> {
  await until(`${lent.name} is ${state}`, async () => (await readState(world, lent)) === state)
}

/** Those that exist or are listed, the template included. */
async function listDatabases({ server }: World): Promise<string[]> {
  const { rows } = await server.query(
    `select name from provisioning.test_database
      union
     select datname from pg_database
      where datname not in ('postgres', 'template0', 'template1', '${DATABASE}')
      order by name`,
  )
  return rows.map(({ name }) => name)
}
