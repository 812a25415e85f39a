import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type Queryable, RetryableError } from '../../client/client.ts'
import { prepared } from '../support/prepared.ts'
import type { History, Outcome } from './history.ts'
import { perform } from './perform.ts'
import { TooLate } from './perform-on-command.ts'
import type { SessionPlan, TransactionPlan } from './schedule.ts'
import type { World } from './world.ts'

// Finishes in opposite orders may deadlock; this finds it in 20 ms instead of a second.
const options = '-c deadlock_timeout=20ms -c synchronous_commit=off'
// Serialization failures are common on one batch, but some session always makes progress.
const maxAttempts = 500

/** One connection of a worker or an operator; it reconnects after it was terminated. */
export class Session {
  readonly #url: string
  readonly #kill: (pid: number) => Promise<unknown>
  #client: pg.Client | undefined
  #pid = 0
  #db: Queryable | undefined
  #isolation = ''

  constructor(url: string, kill: (pid: number) => Promise<unknown>) {
    this.#url = url
    this.#kill = kill
  }

  async run(plan: SessionPlan, world: World, history: History, strict: boolean): Promise<void> {
    for (const transaction of plan.transactions) {
      if (transaction.steps.length === 0) continue
      let attempts = 0
      while (await this.#mustRepeat(transaction, plan.isolation, world, history, strict)) {
        if (++attempts === maxAttempts) {
          history.problems.push(`a transaction failed ${maxAttempts} times in a row`)
          break
        }
      }
    }
  }

  async close(): Promise<void> {
    await this.#client?.end()
    this.#client = undefined
  }

  /** Runs the transaction once; true if it has to be run again. */
  async #mustRepeat(
    plan: TransactionPlan,
    isolation: SessionPlan['isolation'],
    world: World,
    history: History,
    strict: boolean,
  ): Promise<boolean> {
    const client = await this.#connect(isolation)
    const db = this.#db as Queryable
    const settles: ((outcome: Outcome) => void)[] = []
    // A single call commits by itself, as most callers do it; an operator's move is several.
    const [first] = plan.steps
    const isSeveral = first?.do === 'operate' || first?.do === 'refresh'
    const alone = plan.steps.length === 1 && plan.end === 'commit' && !isSeveral
    const doing = {
      db,
      world,
      history,
      startedAtMs: performance.now(),
      isInTransaction: !alone,
      onSettled: (settle: (outcome: Outcome) => void) => settles.push(settle),
    }
    let outcome: Outcome = 'rolled back'
    try {
      if (!alone) await client.query('begin')
      for (const step of plan.steps) {
        await perform(doing, step)
        if (plan.pauseMs > 0) await sleep(plan.pauseMs)
      }
      outcome = alone ? 'committed' : await this.#end(client, plan.end)
      return false
    } catch (error) {
      if (!alone) await client.query('rollback')
      return isWorthRepeating(error, history, strict)
    } finally {
      for (const settle of settles) settle(outcome)
    }
  }

  async #connect(isolation: SessionPlan['isolation']): Promise<pg.Client> {
    if (this.#client === undefined) {
      const client = new pg.Client({ connectionString: this.#url, options })
      // The schedule terminates connections.
      client.on('error', () => {})
      await client.connect()
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
      this.#pid = rows[0]?.pid ?? 0
      this.#client = client
      this.#db = prepared(client)
      this.#isolation = ''
    }
    if (this.#isolation !== isolation) {
      await this.#client.query(`set default_transaction_isolation = '${isolation}'`)
      this.#isolation = isolation
    }
    return this.#client
  }

  async #end(client: pg.Client, end: TransactionPlan['end']): Promise<Outcome> {
    if (end === 'commit' || end === 'rollback') {
      await client.query(end)
      return end === 'commit' ? 'committed' : 'rolled back'
    }
    this.#client = undefined
    if (end === 'die') {
      await this.#kill(this.#pid)
      return 'rolled back'
    }
    const commit = client.query('commit').then(
      () => 'committed' as const,
      () => 'unknown' as const,
    )
    await this.#kill(this.#pid)
    return commit
  }
}

function isWorthRepeating(error: unknown, history: History, strict: boolean): boolean {
  if (error instanceof RetryableError) {
    if (error.code === '40001') history.serializationFailures++
    else history.deadlocks++
    if (strict && error.code === '40P01')
      history.problems.push(`deadlock: ${detailOf(error.cause)}`)
    return true
  }
  if (error instanceof TooLate) return false
  history.problems.push(`unexpected error: ${error} ${detailOf(error)}`)
  return false
}

function detailOf(error: unknown): string {
  const { detail, where } = error as { detail?: string; where?: string }
  return [detail, where].filter(Boolean).join('\n')
}
