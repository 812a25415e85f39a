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
import { RESET_STATE } from '../postgres/sqlstate.ts'
import type { Blocker } from './blockers.ts'
import { dropObjects, dropQueues } from './drop.ts'
import { refuseForbidden } from './errors.ts'
import { DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, type Patience, withPatience } from './lock-retry.ts'
import type { ResetSessions } from './session.ts'

export interface RebuildOptions {
  readonly sessions: ResetSessions
  readonly database: DatabaseIdentity
  readonly patience: Patience
  /** Runs all migrations under the migration lock, with these hooks. */
  readonly migrate: (hooks: ProvisionHooks) => Promise<unknown>
  /** Called once everything is locked and about to be gone; what is thrown after it undoes it. */
  readonly onDropping: () => void
  /** Called once everything is gone: from here on only a rebuild that succeeds helps. */
  readonly onDropped: () => void
}

/** Drops everything and migrates again; not one transaction, since the migrations are not. */
export async function rebuild(options: RebuildOptions): Promise<readonly Blocker[]> {
  const { sessions, database, patience, migrate, onDropping, onDropped } = options
  let terminated: readonly Blocker[] = []
  await migrate({
    async afterLocking(client) {
      // The store may be an older version's, if the start failed before it was upgraded.
      await ensureStore(client)
      if (!(await isDisposable(client))) throw notDisposableError(database)
      const findScope = async () => ({ client, oids: await listOids(client) })
      const dropped = await withPatience(patience, findScope, ({ patienceMs }) =>
        dropEverything(client, database, patienceMs, onDropping),
      )
      terminated = dropped.terminated
      onDropped()
    },
    async afterMigrating(client) {
      sessions.forgetPlan()
      await captureBaseline(client)
    },
  })
  return terminated
}

/** In one transaction, under the mark: all that is not a system's, the service's or an extension's. */
async function dropEverything(
  client: Client,
  database: DatabaseIdentity,
  patienceMs: number,
  onDropping: () => void,
): Promise<void> {
  await client.query('begin isolation level read committed read write')
  try {
    // Readers wait behind a drop that waits, so it gives way soon.
    const waitMs = Math.min(Math.round(patienceMs), 200)
    await client.query(`set local search_path to pg_catalog, pg_temp;
      set local client_min_messages to error; set local lock_timeout to ${waitMs};
      lock table provisioning.disposable in share row exclusive mode`)
    const { rows } = await client.query<{ disposable: boolean }>(
      `select ${IS_DISPOSABLE_SQL} as disposable`,
    )
    if (!rows[0]?.disposable) throw notDisposableError(database)
    await forgetBaseline(client)
    await dropObjects(client)
    await dropQueues(client)
    await client.query('drop schema if exists graphile_migrate cascade')
    onDropping()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    const { code, message } = error as { code?: string; message: string }
    // Any transaction is in the way of a drop, a reader's too.
    if (code === LOCK_NOT_AVAILABLE || code === DEADLOCK_DETECTED) {
      throw Object.assign(new Error(message, { cause: error }), {
        code: RESET_STATE.locked,
        hint: 'all',
      })
    }
    if (code === '42501') throw refuseForbidden([message])
    throw error
  }
}

async function listOids(client: Client): Promise<number[]> {
  const { rows } = await client.query<{ oid: number }>(
    'select oid::int8::float8 as oid from pg_class where oid >= 16384',
  )
  return rows.map((row) => row.oid)
}
