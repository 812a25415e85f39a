import type { Service } from '../../support/service.ts'
import { until } from '../../support/until.ts'
import {
  createLender,
  type LendingService,
  type Lent,
  runIn,
  TOKEN,
} from '../../test-databases/lending.ts'
import { DIRT, type World } from '../faults/world.ts'

/** What becomes of test databases while a fault lasts depends on what the service is doing with them. */
export interface Situation {
  readonly name: string
  readonly meaning: string
  /** One is returned, before or during the fault. */
  readonly lends?: boolean
  /** Brings the service there. */
  readonly reach: (world: World) => Promise<Stage>
}

export interface Stage {
  readonly service: LendingService
  /** Stays lent: its rows are `DIRTY_ROWS`. */
  readonly kept?: Lent
  /** Returned, or to be returned, while the fault lasts. */
  readonly returned?: Lent
  /** Lets the work go on that was held for the fault. */
  readonly release?: () => Promise<void>
}

export const MAX = 5
/** The service has no more than this ready. */
export const SPARE = 4

export const SITUATIONS: readonly Situation[] = [
  {
    name: 'idle',
    meaning: 'all databases are ready, and none is lent',
    async reach(world) {
      return { service: await startFull(world) }
    },
  },
  {
    name: 'lent',
    meaning: 'two are lent, and one of them is returned while the fault lasts',
    lends: true,
    async reach(world) {
      const service = await startFull(world)
      const [kept, returned] = [await borrow(service), await borrow(service)]
      await service.waitForCounts({ lent: 2, ready: SPARE })
      return { service, kept, returned }
    },
  },
  {
    name: 'cleaning',
    meaning: 'one was returned before the fault, and its rows are being restored',
    lends: true,
    async reach(world) {
      const service = await startFull(world)
      const [kept, returned] = [await borrow(service), await borrow(service)]
      await service.waitForCounts({ lent: 2, ready: SPARE })
      const hold = await world.hold()
      await service.giveBack(returned)
      await hold.arrival()
      return { service, kept, returned, release: hold.release }
    },
  },
  {
    name: 'making the template',
    meaning: 'the second of three migrations of the first template is running',
    async reach(world) {
      const migrated = await startReady(world, {})
      await migrated.stop()
      const hold = await world.hold()
      const service = await startLending(world)
      await hold.arrival()
      return { service, release: hold.release }
    },
  },
]

/** Starts a service that lends, or starts it again. */
export async function startLending(
  world: World,
  env: Readonly<Record<string, string>> = {},
): Promise<LendingService> {
  return createLender(await startReady(world, { ...LENDING, ...env }))
}

const LENDING = { TEST_DATABASES_MAX: String(MAX), TEST_DATABASES_TOKEN: TOKEN }

async function startReady(world: World, env: Readonly<Record<string, string>>): Promise<Service> {
  await world.server.query('alter role app createdb')
  const address = `127.0.0.1:${world.server.port}`
  // Borrowers do not come through the proxy, which belongs to the fault.
  const isLending = 'TEST_DATABASES_MAX' in env
  const service = world.start({ ...env, ...(isLending && { TEST_DATABASES_ADDRESS: address }) })
  await service.waitForReady()
  return service
}

async function startFull(world: World): Promise<LendingService> {
  const service = await startLending(world)
  await service.waitForCounts({ ready: SPARE })
  return service
}

/** Borrows a database and leaves rows in it. */
async function borrow(service: LendingService): Promise<Lent> {
  const lent = await service.lend({ ttlSeconds: 600 })
  await runIn(lent.url, DIRT)
  await until('the session of the borrower has ended', async () => {
    const { body } = await service.call('GET', `/databases/${lent.id}`)
    return body.connections === 0
  })
  return lent
}
