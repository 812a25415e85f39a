import pg from 'pg'
import type { CommandStatus } from '../../client/client.ts'
import { query } from '../../client/query.ts'
import { check } from './check.ts'
import { generate, type Kind } from './generate.ts'
import { History } from './history.ts'
import { Observer } from './observer.ts'
import type { Schedule, SessionPlan } from './schedule.ts'
import { Session } from './session.ts'
import { planEnd, planSweep } from './sweep.ts'
import { adoptBatches, createWorld, type World } from './world.ts'

const maxSessions = 10
// Two rounds leave commands in troubleshooting; the third finishes all.
const sweeps = 3

export interface RaceReport {
  readonly seed: number
  readonly problems: readonly string[]
  readonly schedule: Schedule
  readonly history: History
  readonly checks: number
}

/** Runs schedules on one database, and keeps its connections. */
export class Race {
  readonly #pool: pg.Pool
  readonly #sessions: Session[]

  constructor(url: string) {
    this.#pool = new pg.Pool({ connectionString: url, max: 4 })
    this.#pool.on('error', () => {})
    const kill = (pid: number) => this.#pool.query('select pg_terminate_backend($1, 10000)', [pid])
    this.#sessions = Array.from({ length: maxSessions }, () => new Session(url, kill))
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()))
    await this.#pool.end()
  }

  async run(seed: number, kind?: Kind): Promise<RaceReport> {
    const schedule = generate(seed, kind)
    return { seed, schedule, ...(await this.play(schedule)) }
  }

  /** Plays one schedule and checks what it left. */
  async play(schedule: Schedule): Promise<Pick<RaceReport, 'problems' | 'history' | 'checks'>> {
    const world = await createWorld(this.#pool, schedule)
    const history = new History()
    const observer = new Observer(this.#pool)
    const watching = observer.watch(world)
    try {
      await this.#play(schedule.sessions, schedule, world, history)
      await adoptBatches(this.#pool, world)
      for (let round = 1; round <= sweeps; round++) {
        const plan = planSweep(world, await this.#loadStatuses(world), {
          seed: schedule.sweep.seed + round,
          sessions: schedule.sweep.sessions,
          isLast: round === sweeps,
        })
        await this.#play(plan, schedule, world, history)
      }
      await this.#play(planEnd(world, schedule.sweep), schedule, world, history)
    } finally {
      observer.stop()
    }
    await watching
    const problems = [...(await check(this.#pool, world, history)), ...observer.problems]
    return { problems, history, checks: observer.checks }
  }

  async #play(
    plans: readonly SessionPlan[],
    { strict }: Schedule,
    world: World,
    history: History,
  ): Promise<void> {
    await Promise.all(
      plans.map((plan, number) => this.#sessions[number]?.run(plan, world, history, strict)),
    )
  }

  async #loadStatuses(world: World): Promise<Map<string, CommandStatus>> {
    const rows = await query<{ id: string; status: CommandStatus }>(
      this.#pool,
      'select command_id as id, status from commandbus.command where domain = $1::text',
      [world.domain],
    )
    return new Map(rows.map(({ id, status }) => [id, status]))
  }
}
