import type { Client } from 'pg'
import { captureBaseline } from '../baseline/capture.ts'
import {
  type DatabaseIdentity,
  IS_DISPOSABLE_SQL,
  isDisposable,
  notDisposableError,
} from '../baseline/disposable.ts'
import { ensureStore, forgetBaseline } from '../baseline/store.ts'
import type { ProvisionHooks } from '../migrations/provision.ts'
import { isBlocked, isInsufficientPrivilege } from '../postgres/errors.ts'
import { RESET_STATE } from '../postgres/sqlstate.ts'
import type { Blocker } from './blockers.ts'
import { dropObjects, dropQueues } from './drop.ts'
import { notOwnerError } from './errors.ts'
import { type LockOptions, withLockRetry } from './lock-retry.ts'
import type { ResetSessions } from './session.ts'

export interface RebuildOptions {
  readonly sessions: ResetSessions
  readonly database: DatabaseIdentity
  readonly lock: LockOptions
  /** Runs all migrations under the migration lock, with these hooks. */
  readonly migrate: (hooks: ProvisionHooks) => Promise<unknown>
  /** Called once every object is dropped, before the commit; an error after it still rolls back. */
  readonly onDropping: () => void
  /** Called after the commit: from here on, only a successful rebuild repairs the database. */
  readonly onDropped: () => void
}

/** Drops everything and migrates again; not in one transaction, since migrations can commit on their own. */
export async function rebuild(options: RebuildOptions): Promise<readonly Blocker[]> {
  const { sessions, database, lock, migrate, onDropping, onDropped } = options
  let terminated: readonly Blocker[] = []
  await migrate({
    async afterLocking(client) {
      // The store may be an older version's, if the start failed before it was upgraded.
      await ensureStore(client)
      if (!(await isDisposable(client))) throw notDisposableError(database)
      const findScope = async () => ({ client, oids: await listOids(client) })
      const dropped = await withLockRetry(lock, findScope, ({ lockTimeoutMs }) =>
        dropEverything(client, database, lockTimeoutMs, onDropping),
      )
      terminated = dropped.terminated
      onDropped()
    },
    async afterMigrating(client) {
      sessions.forgetFunction()
      await captureBaseline(client)
    },
  })
  return terminated
}

/** New readers queue behind a drop that waits for its lock, so it waits this long at most and retries. */
const MAX_LOCK_WAIT_MS = 200

/**
 * Drops everything except what PostgreSQL, the service or an extension owns, in one transaction that
 * holds the lock on the disposable row.
 */
async function dropEverything(
  client: Client,
  database: DatabaseIdentity,
  lockTimeoutMs: number,
  onDropping: () => void,
): Promise<void> {
  await client.query('begin isolation level read committed read write')
  try {
    const waitMs = Math.min(Math.round(lockTimeoutMs), MAX_LOCK_WAIT_MS)
    await client.query(`set local search_path to pg_catalog, pg_temp;
      set local client_min_messages to error; set local lock_timeout to ${waitMs};
      lock table provisioning.disposable in share row exclusive mode`)
    const { rows } = await client.query<{ isDisposable: boolean }>(
      `select ${IS_DISPOSABLE_SQL} as "isDisposable"`,
    )
    if (!rows[0]?.isDisposable) throw notDisposableError(database)
    await forgetBaseline(client)
    await dropObjects(client)
    await dropQueues(client)
    await client.query('drop schema if exists graphile_migrate cascade')
    onDropping()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    // Every open transaction that uses an object blocks its drop, a reader's as well.
    if (isBlocked(error)) {
      throw Object.assign(new Error('locked', { cause: error }), {
        code: RESET_STATE.locked,
        hint: 'all',
      })
    }
    if (isInsufficientPrivilege(error)) throw notOwnerError([(error as Error).message])
    throw error
  }
}

async function listOids(client: Client): Promise<number[]> {
  const { rows } = await client.query<{ oid: number }>(
    'select oid::int8::float8 as oid from pg_class where oid >= 16384',
  )
  return rows.map((row) => row.oid)
}
