import { setTimeout as sleep } from 'node:timers/promises'
import type { Service } from '../../support/service.ts'
import { settled, until } from '../../support/until.ts'
import { withScope } from './scope.ts'
import type { Template } from './server.ts'
import type { Answer, Cell, Stage } from './situations.ts'
import {
  assertAtBoundary,
  assertComplete,
  CLEAN_ROWS,
  MIGRATION_COUNT,
  openWorld,
  type World,
} from './world.ts'

/** What was seen of one cell, as the page shows it. */
export interface Observation {
  /** What `/readyz` says because of the fault. */
  readonly shows: string
  readonly showsMs: number | undefined
  /** What becomes of what the service was doing. */
  readonly outcome: string
  /** What makes it ready again, once the fault is over. */
  readonly heals: string
  readonly healsMs: number | undefined
}

/** A loss shows within two seconds; this is for machines that are busy. */
const SHOWS_WITHIN_MS = 3000
const CHANGES_WITHIN_MS = 30_000
/** How long a service with DATABASE_WAIT_SECONDS=3 may take to end. */
const ENDS_WITHIN_MS = 30_000
const SHORT_WAIT = { DATABASE_WAIT_SECONDS: '3' }

/**
 * Lets the fault happen in the situation; throws if anything is lost or does not heal. A change of
 * `/readyz` that is expected is waited for, however busy this machine is.
 */
export function runCell(
  template: Template,
  cell: Cell,
  expectsChange = false,
): Promise<Observation> {
  return withScope(async (scope) => {
    const { fault, situation, length } = cell
    const world = await openWorld(scope, template)
    await fault.prepare?.(world)
    const begin = () => fault.begin(world, { isAtStart: situation.isAtStart === true })
    const env = { ...situation.env, ...(length === 'long' && SHORT_WAIT) }
    let service: Service | undefined
    let trace: Trace | undefined
    const start = () => {
      service = world.start(env)
      return service
    }
    try {
      if (situation.isAtStart) await begin()
      const stage = await situation.reach(world, start)
      trace = watch(stage.service, stage.before, fault.keepsAnswering === true)
      scope.teardown(trace.stop)
      const begunAt = performance.now()
      if (!situation.isAtStart) await begin()
      const seen = await trace.firstChange(
        begunAt,
        expectsChange ? CHANGES_WITHIN_MS : SHOWS_WITHIN_MS,
      )
      const run = { cell, world, stage, trace, seen }
      if (length !== 'short') return await runLong(run)
      return await (stage.answer ? runReset(run, stage.answer) : runShort(run))
    } catch (error) {
      const lines = service?.output().split('\n').slice(-25).join('\n')
      throw new Error(
        `${fault.name} × ${situation.name}, ${length}: ${(error as Error).message}\n` +
          `/readyz: ${trace?.all().join(', ')}\n${lines}`,
        { cause: error },
      )
    }
  })
}

interface Run {
  readonly cell: Cell
  readonly world: World
  readonly stage: Stage
  readonly trace: Trace
  readonly seen: Pick<Observation, 'shows' | 'showsMs'>
}

/** The fault ends while the service still waits for the database. */
async function runShort({ cell, world, stage, trace, seen }: Run): Promise<Observation> {
  const { fault, situation } = cell
  await fault.end(world)
  const endedAt = performance.now()
  await stage.release?.()
  const rows = situation.finalRows ?? CLEAN_ROWS
  const state = await trace.settle(endedAt)
  assertAtBoundary(await world.readFacts())
  if (state.exit !== undefined) {
    return {
      ...seen,
      outcome: state.exit,
      heals: 'by the next start',
      ...(await healByStart(world, rows)),
    }
  }
  assertComplete(await world.readFacts(), rows)
  await assertStops(stage.service)
  return { ...seen, outcome: 'goes on', heals: 'by itself', healsMs: state.readyMs }
}

/** The fault lasts longer than the service waits for the database. */
async function runLong({
  cell: { fault, situation },
  world,
  stage,
  trace,
  seen,
}: Run): Promise<Observation> {
  if (!fault.takesServer) await stage.release?.()
  const rows = situation.finalRows ?? CLEAN_ROWS
  const outcome = await trace.outcome()
  await fault.end(world)
  const endedAt = performance.now()
  await stage.release?.()
  await until('the database can be read', () =>
    world.readFacts().then(
      () => true,
      () => false,
    ),
  )
  assertAtBoundary(await world.readFacts())
  if (outcome.startsWith('exit')) {
    return { ...seen, outcome, heals: 'by the next start', ...(await healByStart(world, rows)) }
  }
  const { readyMs } = await trace.settle(endedAt)
  assertComplete(await world.readFacts(), rows)
  await assertStops(stage.service)
  return { ...seen, outcome, heals: 'by itself', healsMs: readyMs }
}

/** A request is running: it is answered while the fault lasts, and repeated after it. */
async function runReset(
  { cell, world, stage, trace, seen }: Run,
  running: Promise<Answer>,
): Promise<Observation> {
  const { fault } = cell
  if (!fault.takesServer) await stage.release?.()
  const answer = await settled('the reset is answered', running)
  const after = trace.current()
  await fault.end(world)
  const endedAt = performance.now()
  await stage.release?.()
  await until('the database can be read', () =>
    world.readFacts().then(
      () => true,
      () => false,
    ),
  )
  const isRebuild = cell.situation.name === 'rebuilding'
  const state = await trace.settle(endedAt, isRebuild ? 'migration_failed' : undefined)
  const facts = await world.readFacts()
  assertAtBoundary(facts)
  if (answer.status === 200) assertComplete(facts, CLEAN_ROWS)
  else if (!isRebuild && facts.history.length < MIGRATION_COUNT) {
    throw new Error(`a reset left ${facts.history.length} migrations`)
  }
  // Whether the backend still commits what it was doing depends on the moment.
  const left = isRebuild ? 'between two migrations' : 'complete or undone'

  const again = await settled('the next reset is answered', stage.askAgain?.() ?? running)
  if (again.status !== 200) throw new Error(`the next one: ${JSON.stringify(again)}`)
  await trace.settle(performance.now())
  assertComplete(await world.readFacts(), CLEAN_ROWS)
  await assertStops(stage.service)
  return {
    ...seen,
    ...(seen.showsMs === undefined &&
      after !== stage.before && { shows: `${seen.shows}, then ${after}` }),
    outcome: answer.status === 200 ? '200' : `${answer.status} \`${answer.code}\`: ${left}`,
    heals: state.readyMs === undefined ? 'by the next rebuild' : 'by itself',
    healsMs: state.readyMs,
  }
}

async function healByStart(world: World, rows: string): Promise<{ healsMs: number }> {
  const startedAt = performance.now()
  const next = world.start()
  await next.waitForReady()
  const healsMs = performance.now() - startedAt
  assertComplete(await world.readFacts(), rows)
  await assertStops(next)
  return { healsMs }
}

async function assertStops(service: Service): Promise<void> {
  const { code } = await settled('the service stops', service.stop())
  if (code !== 0) throw new Error(`stopped with ${code}`)
}

interface Trace {
  /** What `/readyz` says instead of what it said, or that it goes on saying it. */
  firstChange(since: number, withinMs: number): Promise<Pick<Observation, 'shows' | 'showsMs'>>
  /** Waits until the service is ready, has ended, or gives the reason. */
  settle(since: number, reason?: string): Promise<{ readyMs?: number; exit?: string }>
  /** How a service ends, or that it does not. */
  outcome(): Promise<string>
  current(): string
  all(): string[]
  stop(): Promise<void>
}

/** Follows `/readyz`; `before` is what it says as long as nothing happens. */
function watch(service: Service, before: string, ignoresSlowness: boolean): Trace {
  const seen: string[] = [before]
  let exit: string | undefined
  let isOver = false
  void service.ended.then(({ code }) => {
    exit = describeExit(service, code)
  })
  const poll = async () => {
    while (!isOver && exit === undefined) {
      const state = await readState(service, ignoresSlowness).catch(() => undefined)
      if (state !== undefined && state !== seen.at(-1)) seen.push(state)
      await sleep(20)
    }
  }
  const polling = poll()
  const current = () => seen.at(-1) ?? before

  return {
    current,
    all: () => seen,
    async firstChange(since, withinMs) {
      while (performance.now() - since < withinMs) {
        const [, shows] = seen
        if (shows !== undefined) return { shows, showsMs: performance.now() - since }
        if (exit !== undefined) return { shows: before, showsMs: undefined }
        await sleep(20)
      }
      return { shows: before, showsMs: undefined }
    },
    async settle(since, reason) {
      // What was said before the fault was over does not count.
      const state = () => readState(service).catch(() => undefined)
      let found: string | undefined
      await until('the service is ready again', async () => {
        found = await state()
        return exit !== undefined || found === 'ready' || (reason !== undefined && found === reason)
      })
      if (exit !== undefined) return { exit }
      return found === 'ready' ? { readyMs: performance.now() - since } : {}
    },
    async outcome() {
      const deadline = performance.now() + ENDS_WITHIN_MS
      while (performance.now() < deadline) {
        if (exit !== undefined) return exit
        if (current() === 'ready') return 'goes on, and is ready'
        await sleep(20)
      }
      return `goes on: \`${current()}\``
    },
    async stop() {
      isOver = true
      await polling
    },
  }
}

async function readState(service: Service, ignoresSlowness = false): Promise<string | undefined> {
  const { status, body } = await service.get('/readyz')
  if (ignoresSlowness && /not answer in time|no answer within/.test(body.detail)) return undefined
  return status === 200 ? 'ready' : body.reason
}

function describeExit(service: Service, code: number | null): string {
  const err = service.log().find(({ level }) => level === 'fatal')?.err as { code?: string }
  return `exit ${code}${err?.code ? ` \`${err.code}\`` : ''}`
}
