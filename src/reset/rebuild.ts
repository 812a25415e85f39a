import type { Client } from 'pg'
import { captureBaseline } from '../baseline/capture.ts'
import {
  type DatabaseIdentity,
  IS_DISPOSABLE_SQL,
  isDisposable,
  notDisposableError,
} from '../baseline/disposable.ts'
import { ensureStore, forgetBaseline } from '../baseline/store.ts'
import { findReadOnlyReason } from '../database/state.ts'
import type { Log } from '../logger.ts'
import type { ProvisionHooks } from '../migrations/provision.ts'
import type { MigrationTrial } from '../migrations/trial.ts'
import { isBlocked, isInsufficientPrivilege, isOutOfMemory } from '../postgres/errors.ts'
import { withCanonicalSettings } from '../postgres/session-settings.ts'
import { RESET_STATE } from '../postgres/sqlstate.ts'
import type { Blocker } from './blockers.ts'
import { type Drop, dropObjects, dropQueues, listDrops } from './drop.ts'
import { ignoredObjectsDependError, notOwnerError, readOnlyError } from './errors.ts'
import { emptyExtensionData } from './extension-data.ts'
import { type LockOptions, withLockRetry } from './lock-retry.ts'
import { assertOfOtherTools, emptySchemas, listDependents } from './other-schemas.ts'
import { NO_SEEDS, planAllSeeds, type ResetSeeds, runPendingSeeds } from './seeds.ts'
import type { ResetSessions } from './session.ts'

export interface RebuildTrial {
  /** Reads the files and the settings of the migrations, and throws if one of them is wrong. */
  readonly prepare: (client: Client) => Promise<MigrationTrial>
  /** Opens the session for the trial, as the migrations will need one. */
  readonly openSession: () => Promise<Client>
  readonly log: Log
}

export interface RebuildOptions {
  readonly sessions: ResetSessions
  readonly database: DatabaseIdentity
  readonly lock: LockOptions
  /** Runs all migrations under the migration lock, with these hooks. */
  readonly migrate: (hooks: ProvisionHooks) => Promise<unknown>
  /** How to try the migrations before anything is dropped. Default: they are not tried. */
  readonly trial?: RebuildTrial
  /** Default: there are none. */
  readonly seeds?: ResetSeeds
  /**
   * Called when applications have to wait: everything is dropped, in a transaction that is not committed.
   * An error after it still rolls back.
   */
  readonly onDropping: (detail: string) => void
  /** Called after the commit: from here on, only a successful rebuild repairs the database. */
  readonly onDropped: () => void
}

/**
 * Drops everything and migrates again; not in one transaction, since migrations can commit on their own.
 * Before that, everything is dropped and migrated in a transaction that is rolled back.
 */
export async function rebuild(options: RebuildOptions): Promise<readonly Blocker[]> {
  const { sessions, database, migrate, seeds = NO_SEEDS } = options
  const terminated: Blocker[] = []
  await migrate({
    async afterLocking(client) {
      await assertWritable(client)
      // The store may be an older version's, if the start failed before it was upgraded.
      await ensureStore(client)
      if (!(await isDisposable(client))) throw notDisposableError(database)
      const migrations = await options.trial?.prepare(client)
      const steps = createSteps(client, options, terminated)
      if (options.trial && migrations) await steps.tryMigrations(options.trial, migrations)
      await steps.drop()
    },
    async afterMigrating(client) {
      sessions.forgetFunction()
      await assertOfOtherTools(client, sessions.others)
      await planAllSeeds(client, seeds)
      await runPendingSeeds(client, seeds)
      await captureBaseline(client, sessions.others)
    },
  })
  return terminated
}

/** New readers queue behind a drop that waits for its lock, so it waits this long at most and retries. */
const MAX_LOCK_WAIT_MS = 200

/** How many objects are dropped in one transaction, where all at once need more locks than the server has. */
const BATCH_SIZE = 200

/** The two steps of a rebuild that need locks. */
function createSteps(client: Client, options: RebuildOptions, terminated: Blocker[]) {
  const { database, lock, onDropping, onDropped } = options
  const { others } = options.sessions
  const findScope = async () => ({
    client,
    oids: await listOids(client),
    ignoredOids: await listOids(client, others.ignored),
  })
  let hasTooFewLocks = false

  /** Runs `work` in a transaction of the session that holds the lock on the disposable row. */
  async function transact(
    session: Client,
    ends: 'commit' | 'rollback',
    work: () => Promise<void>,
  ): Promise<void> {
    const attempt = async ({ lockTimeoutMs: leftMs }: { lockTimeoutMs: number }) => {
      try {
        await withCanonicalSettings(
          session,
          async () => {
            await lockDisposable(session, database, leftMs)
            await work()
          },
          { ends },
        )
      } catch (error) {
        throw dropError(error)
      }
    }
    const done = await withLockRetry(lock, findScope, attempt)
    terminated.push(...done.terminated)
  }

  return {
    /** Throws what a migration fails with; the database is as it was in any case. */
    async tryMigrations({ openSession, log }: RebuildTrial, trial: MigrationTrial): Promise<void> {
      const session = await openSession()
      try {
        await transact(session, 'rollback', async () => {
          await dropEverything(session)
          onDropping('trying the migrations before anything is dropped')
          await trial.run(session)
        })
      } catch (error) {
        if (!isOutOfMemory(error)) throw error
        hasTooFewLocks = true
        log.warn(
          { reason: (error as Error).message },
          'the migrations cannot be tried before a rebuild: dropping everything in one transaction needs ' +
            'more locks than max_locks_per_transaction allows',
        )
      } finally {
        await session.end().catch(() => {})
      }
    },

    /** Drops everything except what PostgreSQL, the service or an extension owns. */
    async drop(): Promise<void> {
      if (!hasTooFewLocks) {
        try {
          return await dropAtOnce()
        } catch (error) {
          if (!isOutOfMemory(error)) throw error
        }
      }
      await dropInBatches()
      await dropAtOnce()
    },
  }

  /** Drops everything, and puts back what stays: extensions, and the schemas of other tools. */
  async function dropEverything(session: Client): Promise<void> {
    const dependents = await listDependents(session, others)
    if (dependents.length > 0) throw ignoredObjectsDependError(dependents)
    await dropObjects(session, await listDrops(session, { others }))
    await dropQueues(session)
    await emptyExtensionData(session, others)
    await emptySchemas(session, others)
  }

  async function dropAtOnce(): Promise<void> {
    await transact(client, 'commit', async () => {
      await forgetBaseline(client)
      await dropEverything(client)
      await client.query('drop schema if exists graphile_migrate cascade')
      onDropping('dropping everything')
    })
    onDropped()
  }

  /** Drops all but schemas, in transactions of a size for which the server has locks. */
  async function dropInBatches(): Promise<void> {
    let drops: readonly Drop[] = []
    // A service that starts after a crash must not take what is left for a migrated database, and still
    // has to rebuild it.
    await transact(client, 'commit', async () => {
      const dependents = await listDependents(client, others)
      if (dependents.length > 0) throw ignoredObjectsDependError(dependents)
      drops = await listDrops(client, { inSchemas: true, others })
      onDropping(`dropping ${drops.length} objects`)
      await forgetBaseline(client)
      await client.query(
        `drop schema if exists graphile_migrate cascade;
         update provisioning.disposable set is_by_service = false`,
      )
    })
    onDropped()
    let size = BATCH_SIZE
    for (let next = 0; next < drops.length; ) {
      const batch = drops.slice(next, next + size)
      try {
        await transact(client, 'commit', () => dropObjects(client, batch))
        next += batch.length
      } catch (error) {
        if (!isOutOfMemory(error) || size === 1) throw error
        size = Math.ceil(size / 4)
      }
    }
  }
}

async function assertWritable(client: Client): Promise<void> {
  const reason = await findReadOnlyReason(client)
  if (reason !== undefined) throw readOnlyError(reason)
}

/** Throws if the database is not, or no longer, marked disposable. */
async function lockDisposable(
  client: Client,
  database: DatabaseIdentity,
  lockTimeoutMs: number,
): Promise<void> {
  const waitMs = Math.min(Math.round(lockTimeoutMs), MAX_LOCK_WAIT_MS)
  await client.query(`set local lock_timeout to ${waitMs};
    lock table provisioning.disposable in share row exclusive mode`)
  const { rows } = await client.query<{ isDisposable: boolean }>(
    `select ${IS_DISPOSABLE_SQL} as "isDisposable"`,
  )
  if (!rows[0]?.isDisposable) throw notDisposableError(database)
}

/** Every open transaction that uses an object blocks its drop, a reader's as well. */
function dropError(error: unknown): unknown {
  if (isBlocked(error)) {
    return Object.assign(new Error('locked', { cause: error }), {
      code: RESET_STATE.locked,
      hint: 'all',
    })
  }
  return isInsufficientPrivilege(error) ? notOwnerError([(error as Error).message]) : error
}

/** The relations of the user's, or those of some schemas, and the schemas themselves. */
async function listOids(client: Client, schemas?: readonly string[]): Promise<number[]> {
  const { rows } = await client.query<{ oid: number }>(
    `select pg_class.oid::int8::float8 as oid
       from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where pg_class.oid >= 16384 and ($1::text[] is null or nspname = any ($1))
      union all
     select oid::int8::float8 from pg_namespace where nspname = any ($1)`,
    [schemas ?? null],
  )
  return rows.map((row) => row.oid)
}
