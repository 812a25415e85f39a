import type { Service } from '../../support/service.ts'
import { until } from '../../support/until.ts'
import type { Fault } from './faults.ts'
import { CLEAN_ROWS_AND_MINE, DIRT, type Hold, MINE, TOKEN, type World } from './world.ts'

/** What the service is doing when the fault begins. */
export interface Situation {
  readonly name: string
  /** Settings of the service, besides the connection and the folder. */
  readonly env: Readonly<Record<string, string>>
  /** Brings the service there. */
  readonly reach: (world: World, start: () => Service) => Promise<Stage>
  readonly isAtStart?: boolean
  /** The service waits for the database, and ends if it stays away for longer than DATABASE_WAIT_SECONDS. */
  readonly hasLimit?: boolean
  /** The rows at the end; by default those that the migrations leave. */
  readonly finalRows?: string
  readonly why: string
}

/** The service, where the fault meets it. */
export interface Stage {
  readonly service: Service
  /** What `/readyz` says before the fault. */
  readonly before: string
  /** Lets the work go on that was held for the fault. */
  readonly release?: () => Promise<void>
  /** A request that was running, and how to make it again. */
  readonly answer?: Promise<Answer>
  readonly askAgain?: () => Promise<Answer>
}

export interface Answer {
  readonly status: number
  readonly code?: string
}

/** Of the lock that instances of the service acquire; another instance holds it. */
const SERVICE_LOCK = '7234318460551720296'

const RESET_ENV = { RESET_ENABLED: 'true', RESET_TOKEN: TOKEN, DATABASE_WAIT_SECONDS: '5' }

export const SITUATIONS: readonly Situation[] = [
  {
    name: 'at start',
    why: 'the fault is there before the service',
    env: {},
    isAtStart: true,
    hasLimit: true,
    async reach(_, start) {
      return { service: start(), before: 'waiting_for_database' }
    },
  },
  {
    name: 'waiting for the lock',
    why: 'another instance holds the migration lock, and releases it after the fault',
    env: {},
    hasLimit: true,
    async reach({ scope, server }, start) {
      const holder = await server.connect()
      scope.teardown(() => void holder.end().catch(() => {}))
      await holder.query(`select pg_advisory_lock(${SERVICE_LOCK})`)
      const service = start()
      await service.waitForReason('waiting_for_lock')
      return {
        service,
        before: 'waiting_for_lock',
        async release() {
          await holder.query('select pg_advisory_unlock_all()').catch(() => {})
        },
      }
    },
  },
  {
    name: 'migrating',
    why: 'the second of three migrations is running',
    env: {},
    hasLimit: true,
    async reach(world, start) {
      const hold = await world.hold()
      const service = start()
      await hold.arrival()
      await until('/readyz names the migration', async () =>
        Boolean((await service.get('/readyz')).body.detail?.includes('2 of 3')),
      )
      return { service, before: 'migrating', release: hold.release }
    },
  },
  {
    name: 'resetting',
    why: 'a reset has deleted rows, and is restoring them',
    env: RESET_ENV,
    reach: (world, start) => reachReset(world, start, 'data'),
  },
  {
    name: 'rebuilding',
    why: 'everything is dropped, and the second of three migrations is running',
    env: RESET_ENV,
    reach: (world, start) => reachReset(world, start, 'rebuild'),
  },
  {
    name: 'at rest',
    why: 'the service is ready',
    env: {},
    finalRows: CLEAN_ROWS_AND_MINE,
    async reach({ server }, start) {
      const service = start()
      await service.waitForReady()
      await server.query(MINE)
      return { service, before: 'ready' }
    },
  },
]

async function reachReset(
  world: World,
  start: () => Service,
  mode: 'data' | 'rebuild',
): Promise<Stage> {
  const service = start()
  await service.waitForReady()
  const ask = () => askForReset(service, mode)
  await world.server.query(DIRT)
  const hold: Hold = await world.hold()
  const answer = ask()
  answer.catch(() => {})
  await hold.arrival()
  return {
    service,
    before: mode === 'data' ? 'ready' : 'rebuilding',
    release: hold.release,
    answer,
    askAgain: ask,
  }
}

async function askForReset(service: Service, mode: string): Promise<Answer> {
  const { status, body } = await service.request('/reset', {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ mode }),
  })
  return { status, ...(body.code && { code: body.code }) }
}

/** How long the fault lasts, beside DATABASE_WAIT_SECONDS; `any`: the service ends at once. */
export type Length = 'short' | 'long' | 'any'

export interface Cell {
  readonly fault: Fault
  readonly situation: Situation
  readonly length: Length
}

/** Every cell that makes sense. */
export function listCells(faults: readonly Fault[]): Cell[] {
  return faults.flatMap((fault) =>
    SITUATIONS.filter(({ name }) => fault.senseless?.[name] === undefined).flatMap((situation) =>
      listLengths(fault, situation).map((length) => ({ fault, situation, length })),
    ),
  )
}

function listLengths(fault: Fault, situation: Situation): readonly Length[] {
  if (fault.endsAt?.includes(situation.name)) return ['any']
  return canLast(fault, situation) ? ['short', 'long'] : ['short']
}

function canLast(fault: Fault, situation: Situation): boolean {
  if (!situation.hasLimit) return false
  return !fault.isMomentary || (fault.name === 'silent' && situation.isAtStart === true)
}
