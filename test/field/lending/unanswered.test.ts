// Making a lease is one round trip: if its answer is lost, nobody knows of the lease that may have been made.
import { test } from 'tap'
import { until } from '../../support/until.ts'
import type { LendingService } from '../../test-databases/lending.ts'
import { withScope } from '../faults/scope.ts'
import { createTemplate } from '../faults/server.ts'
import { openWorld, PASSWORD, type World } from '../faults/world.ts'
import { SPARE, startLending } from './situations.ts'

/** Held while a lease is made. */
const LEASE_LOCK = '7234318460551720298'

/** Brings a service there whose statement for a lease waits in the server, while the client is cut off. */
async function loseAnswer(world: World) {
  const service = await startLending(world)
  await service.waitForCounts({ lent: 0, ready: SPARE })
  const holder = await world.server.connect()
  world.scope.teardown(() => void holder.end().catch(() => {}))
  await holder.query(`select pg_advisory_lock(${LEASE_LOCK})`)
  const asked = service.call('POST', '/databases', { waitMs: 20_000 })
  const findWaiting = async () => {
    const { rows } = await world.server.query(
      `select pid from pg_stat_activity
        where application_name like 'commandbus-db lending%' and wait_event = 'advisory'`,
    )
    return rows.map(({ pid }) => pid as number)
  }
  await until('the lease is being made', async () => (await findWaiting()).length === 1)
  const [backend] = await findWaiting()
  world.proxy.cut()
  const { status, body } = await asked
  const isBackendGone = async () => !(await findWaiting()).includes(backend as number)
  return {
    ...{ service, answer: `${status} ${body.code}`, isBackendGone },
    release: () => holder.query('select pg_advisory_unlock_all()'),
  }
}

async function countLeases({ server }: World): Promise<number> {
  const { rows } = await server.query(
    `select count(*)::int as leases from provisioning.test_database where state = 'lent'`,
  )
  return rows[0].leases
}

/** A lease that was noticed may have had one more copy made. */
async function waitForAll(service: LendingService): Promise<void> {
  await until('all databases are ready', async () => {
    const { lent, ready } = (await service.get('/status')).body.testDatabases
    return lent === 0 && ready >= SPARE
  })
}

test('a service that is back ends a lease that was made meanwhile', async (t) => {
  await withScope(async (scope) => {
    const world = await openWorld(scope, await createTemplate(scope, PASSWORD))
    const { service, answer, release } = await loseAnswer(world)
    t.equal(answer, '503 database_lost')
    await release()
    await until('the lease was made', async () => (await countLeases(world)) === 1)

    world.proxy.restore()
    await until('it has ended', async () => (await countLeases(world)) === 0)
    await waitForAll(service)
    t.match(await service.stop(), { code: 0 })
  })
})

test('a service that is back prevents a lease that nobody would know of', async (t) => {
  await withScope(async (scope) => {
    const world = await openWorld(scope, await createTemplate(scope, PASSWORD))
    const { service, answer, isBackendGone, release } = await loseAnswer(world)
    t.equal(answer, '503 database_lost')

    world.proxy.restore()
    await until('what it was sent has ended', isBackendGone)
    await release()
    await service.waitForReady()
    const lent = await service.lend()
    t.equal(await countLeases(world), 1, 'only what was asked for is lent')
    await service.giveBack(lent)
    await waitForAll(service)
    t.match(await service.stop(), { code: 0 })
  })
})
