import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '../postgres/errors.ts'
import { type Clone, createClone } from './clone.ts'
import { copyTemplate } from './create.ts'
import { createDelays } from './delays.ts'
import { dropDatabase } from './drop.ts'
import type { TemplateRecipe } from './recipe.ts'
import { addDatabase, moveDatabase, readState, type State } from './rows.ts'
import type { TestServer } from './server.ts'
import { createStrategies } from './strategy.ts'
import { ensureTemplate, type Template } from './template.ts'

export interface PoolOptions {
  readonly recipe: TemplateRecipe
  /** How many databases to have ready. */
  readonly spare: number
  /** How many to have at most, lent ones included. */
  readonly most: number
  /** Owns the databases, if another role creates them. */
  readonly owner: string | undefined
  /** Called when a database is ready, or when none will be for now. */
  readonly onChange: () => void
}

/** The copies of one template that this service has made, whether they are lent or not. */
export interface Pool {
  readonly recipe: TemplateRecipe
  /** Why there is no database at the moment; undefined if nothing failed since the last one was made. */
  readonly problem: unknown
  /** Makes copies in the background until enough are ready. */
  refill(): void
  /** Notes that a copy was lent, by whichever service; `leaseId` if it was this one. */
  noteLent(oid: number, leaseId?: string): void
  /**
   * Cleans a copy that came back, or drops it; false if this service cannot, because it does not know it.
   * `leaseId` is the lease that has ended, if that is known: it may have been lent again since.
   */
  takeBack(oid: number, leaseId?: string): boolean
  /** Drops a copy that is in the state `dropping`. */
  discard(oid: number): void
  has(oid: number): boolean
  /** Whether copies are being made. */
  readonly isFilling: boolean
  /** Closes the sessions in copies that were not used for a while, or that someone wants to drop. */
  leaveUnused(isWanted: (oid: number) => boolean): void
  /** Waits for everything that runs. */
  close(): Promise<void>
}

interface Member {
  readonly clone: Clone
  state: 'ready' | 'lent' | 'cleaning'
  /** Undefined where another service may have lent it. */
  leaseId?: string | undefined
  usedAt: number
}

/** After this, the session that is kept in a copy is worth less than its place. */
const UNUSED_MS = 60_000
/** A worker that returns a database mostly borrows the next one at once: cleaning would take the processor from that. */
const CLEANING_DELAY_MS = 15
const FAILURE_PAUSE_MS = { first: 500, longest: 15_000 }

export function createPool(server: TestServer, options: PoolOptions): Pool {
  const { database, keeper, log, signal } = server
  const { recipe, onChange } = options
  const members = new Map<number, Member>()
  const running = new Set<Promise<void>>()
  const strategies = createStrategies()
  const delays = createDelays(CLEANING_DELAY_MS)
  /** Copies that were begun and could not be dropped. */
  const leftovers = new Set<Clone>()
  let template: Template | undefined
  let filling: Promise<void> | undefined
  let problem: unknown

  function run(work: Promise<void>): Promise<void> {
    const tracked = work
      .catch((error) => log.warn({ err: error }, 'could not look after a test database'))
      .finally(() => running.delete(tracked))
    running.add(tracked)
    return tracked
  }

  function isFull(): boolean {
    const spare = [...members.values()].filter(({ state }) => state !== 'lent').length
    return signal.aborted || spare >= options.spare || members.size >= options.most
  }

  /** No request should wait for a cleaning that could have begun. */
  function cleanIfFewAreReady(): void {
    const ready = [...members.values()].filter(({ state }) => state === 'ready').length
    if (ready <= options.spare / 2) delays.endOldest()
  }

  async function fill(): Promise<void> {
    let pauseMs = FAILURE_PAUSE_MS.first
    while (!isFull()) {
      try {
        for (const clone of leftovers) await dropLeftover(clone)
        template ??= await ensureTemplate(server, recipe, options.owner)
        await makeCopy(template)
        problem = undefined
        pauseMs = FAILURE_PAUSE_MS.first
      } catch (error) {
        if (signal.aborted) return
        // The template may be what is missing.
        template = undefined
        problem = error
        log.warn({ reason: describeError(error) }, 'could not make a test database; trying again')
        onChange()
        await sleep(pauseMs, undefined, { signal }).catch(() => {})
        pauseMs = Math.min(pauseMs * 2, FAILURE_PAUSE_MS.longest)
      }
    }
  }

  async function makeCopy(from: Template): Promise<void> {
    const row = await addDatabase(database.pool, {
      ...{ home: database.name, template: recipe.key, isTemplate: false, keeper: keeper.number },
    })
    const clone = createClone(server, row, from)
    try {
      await keeper.run((client) =>
        strategies.measure((strategy) =>
          copyTemplate(client, { ...row, template: from.name, strategy, owner: options.owner }),
        ),
      )
      await clone.prepare()
      const isOurs = await moveDatabase(database.pool, row, { state: 'ready' })
      if (!isOurs) throw new Error('another service has taken a new test database for abandoned')
    } catch (error) {
      leftovers.add(clone)
      await dropLeftover(clone).catch(() => {})
      throw error
    }
    members.set(row.oid, { clone, state: 'ready', usedAt: Date.now() })
    onChange()
  }

  async function dropLeftover(clone: Clone): Promise<void> {
    await drop(clone.row.oid, clone, 'creating')
    leftovers.delete(clone)
  }

  /** Cleans a copy if it has been returned. What the caller saw may be old, and the copy lent again. */
  async function cleanReturned(oid: number, member: Member): Promise<void> {
    const state = await readState(database.pool, oid).catch(() => 'lent' as const)
    if (state === 'returned') return clean(oid, member)
    member.state = state === 'ready' ? 'ready' : 'lent'
  }

  async function clean(oid: number, member: Member): Promise<void> {
    const { clone } = member
    const problem = await clone.clean().catch(describeError)
    if (problem !== undefined) {
      log.info({ database: clone.row.name, reason: problem }, 'dropping a returned test database')
      return drop(oid, clone, 'returned')
    }
    const row = { ...clone.row, state: 'returned' } as const
    const isOurs = await moveDatabase(database.pool, row, { state: 'ready' })
    if (!isOurs) {
      members.delete(oid)
      return clone.leave()
    }
    member.state = 'ready'
    member.usedAt = Date.now()
    onChange()
  }

  async function drop(oid: number, clone: Clone, from: State): Promise<void> {
    members.delete(oid)
    pool.refill()
    await clone.leave()
    const row = { ...clone.row, state: from }
    if (from === 'dropping' || (await moveDatabase(database.pool, row, { state: 'dropping' }))) {
      await dropDatabase(server, clone.row)
    }
  }

  const pool: Pool = {
    recipe,
    get problem() {
      return problem
    },
    refill() {
      if (isFull()) return
      filling ??= run(fill()).finally(() => {
        filling = undefined
        pool.refill()
      })
    },
    noteLent(oid, leaseId) {
      const member = members.get(oid)
      if (member?.state !== 'ready') return
      member.state = 'lent'
      member.leaseId = leaseId
      member.usedAt = Date.now()
      cleanIfFewAreReady()
      pool.refill()
    },
    takeBack(oid, leaseId) {
      const member = members.get(oid)
      if (member === undefined) return false
      if (member.state === 'cleaning') return true
      const isCurrent =
        member.state === 'lent' && leaseId !== undefined && member.leaseId === leaseId
      member.state = 'cleaning'
      member.leaseId = undefined
      const cleaning = delays
        .wait()
        .then(() => (isCurrent ? clean(oid, member) : cleanReturned(oid, member)))
      cleanIfFewAreReady()
      void run(
        cleaning.catch((error) => {
          // The next look at the list finds it returned, and tries again.
          member.state = 'lent'
          throw error
        }),
      )
      return true
    },
    discard(oid) {
      const member = members.get(oid)
      if (member !== undefined) void run(drop(oid, member.clone, 'dropping'))
    },
    has: (oid) => members.has(oid),
    get isFilling() {
      return filling !== undefined
    },
    leaveUnused(isWanted) {
      const now = Date.now()
      for (const [oid, { clone, state, usedAt }] of members) {
        if (state === 'cleaning') continue
        if (isWanted(oid) || now - usedAt > UNUSED_MS) void run(clone.leave())
      }
    },
    async close() {
      await filling
      await Promise.all(running)
      await Promise.all([...members.values()].map(({ clone }) => clone.leave()))
    },
  }
  return pool
}
