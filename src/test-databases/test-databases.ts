import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureTestDatabaseStore } from '../baseline/test-database-store.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import { createSeedVersions } from '../migrations/files/seeds.ts'
import type { Address } from '../postgres/connection/url.ts'
import { describeError } from '../postgres/errors.ts'
import { createSerialSession } from '../postgres/serial-session.ts'
import { createBatches } from './batches.ts'
import {
  clientGoneError,
  leaseNotFoundError,
  noDatabaseFreeError,
  translateError,
} from './errors.ts'
import { createKeeper } from './keeper.ts'
import { createLeaseFunctions } from './lease-functions.ts'
import {
  countDatabases,
  type EndedLease,
  endLeases,
  extendLease,
  type Lease,
  type LeaseInUse,
  type LeaseRequest,
  listLeases,
} from './leases.ts'
import { createLending } from './lending.ts'
import { createPool, type Pool } from './pool.ts'
import { createQueue, type Queue } from './queue.ts'
import { chooseRecipe, type Recipe, type TemplateRecipe } from './recipe.ts'
import { findOwner, openAsCreator } from './role.ts'
import { forgetCopiedRows } from './rows.ts'
import { type TestDatabasesConfig, type TestServer, urlForBorrower } from './server.ts'
import { createWatch } from './watch.ts'

export interface TestDatabasesOptions {
  readonly config: TestDatabasesConfig
  readonly database: TestServer['database']
  /** How many may be lent at once, by all services on this database. */
  readonly max: number
  /** Where borrowers reach the server; undefined: where this service does. */
  readonly address: Address | undefined
  readonly log: Log
  /** Aborts when the service stops. */
  readonly signal: AbortSignal
}

export interface LendOptions {
  readonly label: string | null
  readonly ttlSeconds: number
  readonly waitMs: number
  /** The number of the last migration that is wanted; undefined: all of them, and seeds. */
  readonly through: string | undefined
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
}

export interface LentDatabase extends Lease {
  /** With the password. */
  readonly url: string
  readonly history: { readonly last: string; readonly hash: string }
}

/** Lends migrated databases to tests, and takes them back. */
export interface TestDatabases {
  /** Sets what the databases are made of from now on, and makes the first ones in the background. */
  use(recipe: Recipe): void
  lend(options: LendOptions): Promise<LentDatabase>
  list(): Promise<LeaseInUse[]>
  /** Throws `lease_not_found`, like the others that take an id. */
  find(id: string): Promise<LeaseInUse>
  extend(id: string, ttlSeconds: number): Promise<LeaseInUse>
  giveBack(id: string): Promise<void>
  count(): Promise<TestDatabaseCounts>
  /** As last counted. */
  readonly lastCounts: TestDatabaseCounts
  /** Keeps what is lent, and drops the rest. */
  close(): Promise<void>
}

export interface TestDatabaseCounts {
  readonly max: number
  readonly lent: number
  readonly ready: number
}

/** Enough for workers that return one database and borrow the next before the first is clean. */
const MAX_SPARE = 4
/** Of the time for a stop, this is for dropping databases; what is left is dropped by the next start. */
const CLOSE_SHARE = 0.5
const CHECK_EVERY_MS = 1000

export function createTestDatabases(options: TestDatabasesOptions): TestDatabases {
  const { database, max, log, signal } = options
  const keeper = createKeeper(() => openAsCreator(database))
  const server: TestServer = { ...options, keeper }
  const openForLeases = () => database.open('lending')
  // Each waits for the disk, and neither for the other.
  const lending = createLending(openForLeases, keeper.number)
  const returning = createSerialSession({ open: openForLeases, onOpen: createLeaseFunctions })
  const readSeedVersions = createSeedVersions(options.config.seedsDir)
  const endLease = createBatches<string, EndedLease | undefined>(async (ids) => {
    const ended = await returning.run((client) => endLeases(client, ids))
    const leases = new Map(ended.map((lease) => [lease.id, lease]))
    // A lease ends once, also where two clients return it at the same moment.
    return ids.map((id) => {
      const lease = leases.get(id.toLowerCase())
      leases.delete(id.toLowerCase())
      return lease
    })
  })
  const pools = new Map<string, Pool>()
  const queues = new Map<string, Queue<LeaseRequest, Lease>>()
  const spare = Math.min(max, MAX_SPARE)
  let counts: TestDatabaseCounts = { max, lent: 0, ready: 0 }
  let recipe: Recipe | undefined
  let owner: string | undefined
  let starting: Promise<void> | undefined
  let checking: Promise<void> | undefined

  const wakeAll = () => {
    for (const queue of queues.values()) queue.wake()
  }
  const watch = createWatch({
    server,
    findPool: (template) => pools.get(template),
    isInUse: (template) => pools.has(template),
    onCounts: (found) => {
      counts = { max, ...found }
    },
    onFree: wakeAll,
  })
  const lostWhileStopping = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => {
      for (const queue of queues.values()) queue.rejectAll(stoppingError())
      database.sessions.onEndAll(() => resolve())
    })
  })

  /** What has to be there before anything can be lent; tried again after a failure. */
  function start(): Promise<void> {
    starting ??= prepare().catch((error) => {
      starting = undefined
      throw error
    })
    return starting
  }

  async function prepare(): Promise<void> {
    await ensureTestDatabaseStore(database.pool)
    const forgotten = await forgetCopiedRows(database.pool)
    if (forgotten > 0) {
      log.warn({ forgotten }, 'forgot test databases of another server or database')
    }
    owner = await findOwner(database)
    await keeper.run(async () => {})
    // Then the first request works also when all connections of the server are taken.
    await lending.open()
    checking ??= checkRepeatedly()
  }

  async function checkRepeatedly(): Promise<void> {
    while (!signal.aborted) {
      void lending.endUnanswered().catch(() => {})
      await watch.check().catch((error) => {
        log.debug({ reason: describeError(error) }, 'could not look after the test databases')
      })
      await sleep(CHECK_EVERY_MS, undefined, { signal }).catch(() => {})
    }
  }

  /** The recipe of a request; templates of other seeds or another history are let go. */
  function choose(from: Recipe, through: string | undefined): TemplateRecipe {
    const whole = chooseRecipe(from, readSeedVersions(), undefined)
    for (const [template, pool] of pools) {
      const isOld = pool.recipe.isWhole ? template !== whole.key : pool.recipe.from !== from
      if (isOld) void retire(template, pool)
    }
    return through === undefined ? whole : chooseRecipe(from, [], through)
  }

  function ensurePool(wanted: TemplateRecipe): Pool {
    const found = pools.get(wanted.key)
    if (found !== undefined) return found
    const pool = createPool(server, {
      ...{ recipe: wanted, owner, most: max + spare },
      // Of a shorter history there is one ready, in case that another is wanted.
      spare: wanted.isWhole ? spare : 1,
      onChange: () => queue.wake(),
    })
    const queue = createQueue<LeaseRequest, Lease>((requests) => attempt(pool, requests))
    queues.set(wanted.key, queue)
    pools.set(wanted.key, pool)
    pool.refill()
    return pool
  }

  async function attempt(pool: Pool, requests: readonly LeaseRequest[]): Promise<Lease[]> {
    const rules = { template: pool.recipe.key, max, keeper: keeper.number }
    const lent = await lending.lend(requests, rules)
    // What is wrong with the migrations does not pass by waiting.
    if (lent.length === 0 && pool.problem instanceof ServiceError) throw pool.problem
    counts = { ...counts, lent: counts.lent + lent.length }
    return lent.map(({ oid, ...lease }) => {
      pool.noteLent(oid, lease.id)
      return lease
    })
  }

  async function giveBack(id: string): Promise<boolean> {
    const ended = await endLease(id)
    if (ended === undefined) return false
    counts = { ...counts, lent: Math.max(0, counts.lent - 1) }
    const isOurs = [...pools.values()].some((pool) => pool.takeBack(ended.oid, id))
    // A service that has ended cannot clean it.
    if (!isOurs) void watch.check().catch(() => {})
    wakeAll()
    return true
  }

  function translated<T>(work: () => Promise<T>): Promise<T> {
    return work().catch((error) => {
      throw translateError(error)
    })
  }

  return {
    use(next) {
      recipe = next
      start()
        .then(() => {
          ensurePool(choose(next, undefined))
        })
        .catch((error) => {
          if (!signal.aborted) log.warn({ err: error }, 'POST /databases would fail')
        })
    },
    lend: (lendOptions) =>
      translated(async () => {
        if (recipe === undefined) throw new Error('ready without a history')
        await start()
        const wanted = choose(recipe, lendOptions.through)
        const pool = ensurePool(wanted)
        pool.refill()
        const queue = queues.get(wanted.key) as Queue<LeaseRequest, Lease>
        const takeBack = ({ id }: Lease) => void giveBack(id).catch(() => {})
        const { label, ttlSeconds } = lendOptions
        const lease = await queue.wait(
          { id: randomUUID(), label, ttlSeconds },
          {
            waitMs: lendOptions.waitMs,
            onUnwanted: takeBack,
            createTimeoutError: async () =>
              noDatabaseFreeError({
                ...{ max, waitMs: lendOptions.waitMs, problem: pool.problem },
                leases: await listLeases(database.pool),
              }),
            signal: lendOptions.signal,
          },
        )
        if (lendOptions.signal.aborted) {
          takeBack(lease)
          throw clientGoneError()
        }
        const url = urlForBorrower(server, lease.name, options.address)
        return { ...lease, url, history: { last: wanted.last.number, hash: wanted.last.hash } }
      }),
    list: () =>
      translated(async () => {
        await start()
        return listLeases(database.pool)
      }),
    find: (id) => translated(() => find(id)),
    extend: (id, ttlSeconds) =>
      translated(async () => {
        await start()
        if (!(await extendLease(database.pool, id, ttlSeconds))) throw leaseNotFoundError(id)
        return find(id)
      }),
    giveBack: (id) =>
      translated(async () => {
        await start()
        if (!(await giveBack(id))) throw leaseNotFoundError(id)
      }),
    async count() {
      await start()
      counts = { max, ...(await countDatabases(database.pool)) }
      return counts
    },
    get lastCounts() {
      return counts
    },
    async close() {
      for (const queue of queues.values()) queue.rejectAll(stoppingError())
      if (starting === undefined) return
      const limitMs = options.config.shutdownMs * CLOSE_SHARE
      await Promise.race([
        ...[closeAll(), lostWhileStopping],
        sleep(limitMs, undefined, { ref: false }),
      ])
    },
  }

  async function find(id: string): Promise<LeaseInUse> {
    await start()
    const [found] = await listLeases(database.pool, id)
    if (found === undefined) throw leaseNotFoundError(id)
    return found
  }

  /** Lets a template go that is not wanted any more; what is lent of it can still be given back. */
  async function retire(template: string, pool: Pool): Promise<void> {
    pools.delete(template)
    queues.delete(template)
    await pool.close()
    await keeper.stopUsing(template)
  }

  async function closeAll(): Promise<void> {
    await checking
    await lending.endUnanswered().catch(() => {})
    await Promise.all([...pools.values()].map((pool) => pool.close()))
    await watch.dropIdle().catch((error) => {
      log.warn({ reason: describeError(error) }, 'left test databases to the next start')
    })
    await Promise.all([lending.close(), returning.close()])
    await keeper.close()
  }
}

function stoppingError(): ServiceError {
  return new ServiceError('not_ready', 'the service is stopping: ask again when it is ready', {
    extensions: { reason: 'stopping' },
  })
}
