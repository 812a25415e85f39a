// A lease does not wait for the disk, so a crash of the server forgets the last ones: their databases must not be
// lent again. Here the server writes nothing to its log by itself, and each case first shows that it has forgotten one.
import { test } from 'tap'
import { until } from '../../support/until.ts'
import type { LendingService, Lent } from '../../test-databases/lending.ts'
import { withScope } from '../faults/scope.ts'
import { createTemplate, DATABASE } from '../faults/server.ts'
import { openWorld, PASSWORD, type World } from '../faults/world.ts'
import { startLending } from './situations.ts'

/** One is lent at once, and one more is kept ready. */
const ONE = { TEST_DATABASES_MAX: '1' }
const COPIES = 2

test('a server that crashes under a service: what may have been lent is not lent again', async (t) => {
  await withScope(async (scope) => {
    const template = await createTemplate(scope, PASSWORD)
    for (const state of ['ready', 'returned'] as const) {
      const world = await openWorld(scope, template)
      const service = await startFull(world)
      const lent = await lendForgettably(world, service, state)
      await crash(world)
      t.equal(await readState(world, lent), state, `the server has forgotten a lease: ${state}`)
      letServiceIn(world)

      const next = await lendAgain(service)
      t.not(next.name, lent.name, 'another one is lent')
      const { status } = await service.call('DELETE', `/databases/${lent.id}`)
      t.equal(status, 404, 'the lease has ended')
      await service.giveBack(next)
      await until('it is dropped', async () => (await readState(world, lent)) === undefined)
      await service.waitForCounts({ lent: 0, ready: COPIES })
      t.match(await service.stop(), { code: 0 })
      t.equal((await listDatabases(world)).length, 1, 'only the template is left')
    }
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
    t.match(await service.call('DELETE', `/databases/${lent.id}`), { status: 404 })
    await service.giveBack(next)
    await until('it is dropped', async () => (await readState(world, lent)) === undefined)
    await service.waitForCounts({ lent: 0, ready: COPIES })
    t.match(await service.stop(), { code: 0 })
    t.equal((await listDatabases(world)).length, 1, 'only the template is left')
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
    await until('the lease goes on', async () => {
      const { status } = await service.call('GET', `/databases/${lent.id}`)
      if (status === 404) throw new Error('the lease is lost')
      return status === 200
    })
    await service.giveBack(lent)
    await service.waitForCounts({ lent: 0, ready: COPIES })
    t.strictSame(await listDatabases(world), before, 'the same databases are there')
  })
})

/** Starts a service that has as many copies as it makes, on a server whose log is only written by those who wait for it. */
async function startFull(world: World): Promise<LendingService> {
  await world.server.query(`alter system set wal_writer_delay = '10s'`)
  await world.server.query(`alter system set wal_writer_flush_after = '1GB'`)
  const service = await startLending(world, ONE)
  const first = await service.lend()
  await service.waitForCounts({ lent: 1, ready: COPIES - 1 })
  await service.giveBack(first)
  await service.waitForCounts({ lent: 0, ready: COPIES })
  return service
}

/**
 * Borrows a database by a lease that is not on the disk. The last that is there of it is this state: it was cleaned
 * after its last return, or not yet.
 */
async function lendForgettably(
  world: World,
  service: LendingService,
  state: 'ready' | 'returned',
): Promise<Lent> {
  // The process that writes the log may come just now, every ten seconds.
  for (let attempt = 0; attempt < 5; attempt++) {
    const first = await service.lend()
    await service.giveBack(first)
    const returned = await readLog(world)
    await service.waitForCounts({ lent: 0, ready: COPIES })
    if (state === 'ready')
      await world.server.query(`select pg_logical_emit_message(true, 'test', '')`)
    const ready = await readLog(world)
    const lent = await service.lend()
    const { onDisk } = await readLog(world)
    if (onDisk <= (state === 'ready' ? ready : returned).written) return lent
    await service.giveBack(lent)
    await service.waitForCounts({ lent: 0, ready: COPIES })
  }
  throw new Error('the log is on the disk each time')
}

/** How far the log is written, and how far that is on the disk. */
async function readLog({ server }: World): Promise<{ written: bigint; onDisk: bigint }> {
  const { rows } = await server.query(
    `select (pg_current_wal_insert_lsn() - '0/0')::text as written,
            (pg_current_wal_flush_lsn() - '0/0')::text as "onDisk"`,
  )
  return { written: BigInt(rows[0].written), onDisk: BigInt(rows[0].onDisk) }
}

/** Kills a session, so that the server ends all others and recovers; the service learns nothing of it yet. */
async function crash({ server, proxy }: World): Promise<void> {
  proxy.swallow()
  const client = await server.connect()
  const { rows } = await client.query('select pg_backend_pid() as pid')
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
  let lent: Lent | undefined
  await until('a database is lent', async () => {
    const { status, body } = await service.call('POST', '/databases')
    if (status === 201) lent = body
    return status === 201
  })
  return lent as Lent
}

/** As the table has it; undefined where it is not listed. */
async function readState({ server }: World, { name }: Lent): Promise<string | undefined> {
  const { rows } = await server.query(
    `select state from provisioning.test_database where name = '${name}'`,
  )
  return rows[0]?.state
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
