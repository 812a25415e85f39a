import type { Client } from 'pg'
import type { Log } from '../logger.ts'
import type { Queryable } from '../postgres/client.ts'
import { isBlocked, isConnectionLost } from '../postgres/errors.ts'
import type { CommittedMigration } from './files/migration.ts'
import { type MigrationStatus, readAppliedMigrations } from './history.ts'
import type { Aftermath } from './tool/failure.ts'
import {
  assertNoneUnfinished,
  describeUnfinished,
  findRepair,
  forgetUnfinished,
  listCompleted,
  listUnfinished,
  planRepair,
  recallUnfinished,
  rememberUnfinished,
  type Unfinished,
} from './unfinished.ts'

export interface UnfinishedGuardOptions {
  /** The session that holds the migration lock. */
  readonly client: Client
  readonly database: { readonly pool: Queryable }
  readonly status: MigrationStatus
  readonly log: Log
}

/** Sees to it that nothing stays unfinished of migrations that run outside a transaction. */
export interface UnfinishedGuard {
  /** Before pending files run: removes what an earlier run left, or throws. */
  prepare(pending: readonly CommittedMigration[]): Promise<void>
  /** After a run that did not complete, on another session. */
  readonly inspect: (migration: CommittedMigration) => Promise<Aftermath>
  /** After all files ran: throws if they left something. */
  finish(): Promise<void>
}

export function createUnfinishedGuard(options: UnfinishedGuardOptions): UnfinishedGuard {
  const { client, database, status, log } = options
  const { committed } = status
  const runsOutside = status.pending.some(({ noTransaction }) => noTransaction)
  /** What was unfinished before the first of the files ran. */
  let known: ReadonlySet<number> = new Set()
  const listNew = async (session: Queryable) =>
    (await listUnfinished(session)).filter(({ oid }) => !known.has(oid))

  async function drop(index: string, what: string): Promise<void> {
    log.warn({ index }, `dropping ${what}; the migration makes it again`)
    try {
      await client.query(`drop index concurrently if exists ${index}`)
    } catch (error) {
      if (isBlocked(error) || isConnectionLost(error)) throw error
      log.warn({ err: error, index }, `could not drop ${what}`)
    }
  }

  /** The first pending file may have run, and was not recorded. */
  async function dropCompleted(first: CommittedMigration): Promise<void> {
    for (const index of await listCompleted(client, first)) {
      await drop(index, 'an index that a migration made before it was interrupted')
    }
  }

  return {
    async prepare(pending) {
      if (!runsOutside) return
      const before = await recallUnfinished(client)
      const found = await listUnfinished(client)
      const plan = (one: Unfinished) => planRepair(one, committed, pending)
      // What a pending file is about is its own, even if another session left it.
      const isForeign = (one: Unfinished) =>
        before === undefined ? plan(one) === 'refuse' : before.has(one.oid)
      known = new Set(found.filter(isForeign).map(({ oid }) => oid))
      await rememberUnfinished(client, [...known], log)
      for (const one of await listNew(client)) {
        if (plan(one) === 'drop') {
          await drop(one.qualifiedName, 'an invalid index that a migration left')
        }
      }
      const [first] = pending
      if (before !== undefined && first !== undefined) await dropCompleted(first)
      const left = await listNew(client)
      assertNoneUnfinished(
        left.filter((one) => plan(one) !== 'leave to the file'),
        pending,
      )
    },
    async inspect({ recordedAs, hash, noTransaction }) {
      try {
        const applied = await readAppliedMigrations(database.pool)
        const left = noTransaction ? await listNew(database.pool) : []
        const describe = (one: Unfinished) => {
          const repair = planRepair(one, committed, status.pending)
          const remedy =
            repair === 'refuse'
              ? `repair it: ${findRepair(one, status.pending)};`
              : 'the next start drops it and makes it again'
          return `${describeUnfinished(one)}: ${remedy}`
        }
        const isApplied = applied.some((row) => row.recordedAs === recordedAs && row.hash === hash)
        return { isApplied, unfinished: left.map(describe) }
      } catch {
        return { isApplied: undefined, unfinished: [] }
      }
    },
    async finish() {
      if (!runsOutside) return
      assertNoneUnfinished(await listNew(client), [])
      await forgetUnfinished(client)
    },
  }
}

/** At a start with nothing pending: throws if the last migrations left something unfinished. */
export async function assertFinished(client: Queryable): Promise<void> {
  const known = await recallUnfinished(client)
  if (known === undefined) return
  const found = await listUnfinished(client)
  assertNoneUnfinished(
    found.filter(({ oid }) => !known.has(oid)),
    [],
  )
  await forgetUnfinished(client)
}
