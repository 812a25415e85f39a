import type { Client } from 'pg'
import type { ProvisionHooks } from '../migrations/provision.ts'
import { captureBaseline, forgetBaseline } from './baseline.ts'
import type { Blocker } from './blockers.ts'
import { IS_DISPOSABLE_SQL, isDisposable, refuseNotDisposable } from './guard.ts'
import { hasPgmq } from './model.ts'
import { type Patience, withPatience } from './patience.ts'
import { refuseForbidden } from './refusals.ts'
import { RESET_STATE } from './reset-state.ts'
import type { ResetSessions } from './session.ts'

export interface RebuildOptions {
  readonly sessions: ResetSessions
  readonly databaseName: string
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
  const { sessions, databaseName, patience, migrate, onDropping, onDropped } = options
  let terminated: readonly Blocker[] = []
  await migrate({
    async locked(client) {
      if (!(await isDisposable(client))) throw refuseNotDisposable(databaseName)
      const findScope = async () => ({ client, tableOids: await listTableOids(client) })
      const dropped = await withPatience(patience, findScope, ({ patienceMs }) =>
        dropEverything(client, databaseName, patienceMs, onDropping),
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
  databaseName: string,
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
    if (!rows[0]?.disposable) throw refuseNotDisposable(databaseName)
    await forgetBaseline(client)
    await dropQueues(client)
    for (const statement of await listDrops(client)) await client.query(statement)
    await client.query('drop schema if exists graphile_migrate cascade')
    onDropping()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    const { code, message } = error as { code?: string; message: string }
    // Any transaction is in the way of a drop, a reader's too.
    if (code === '55P03' || code === '40P01') {
      throw Object.assign(new Error(message, { cause: error }), {
        code: RESET_STATE.locked,
        hint: 'all',
      })
    }
    if (code === '42501') throw refuseForbidden([message])
    throw error
  }
}

/** PGMQ itself stays, however it was installed: a plain owner could not bring it back. */
async function dropQueues(client: Client): Promise<void> {
  if (!(await hasPgmq(client))) return
  const { rows } = await client.query<{ name: string }>('select queue_name as name from pgmq.meta')
  for (const { name } of rows) await client.query('select pgmq.drop_queue($1)', [name])
  await client.query('delete from pgmq.meta')
}

/**
 * Whole schemas where nothing of an extension lives in them; else, and in `public`, object by object:
 * dropping a member would drop its extension.
 */
async function listDrops(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ statement: string }>(
    `with own as (
       select oid, nspname,
              nspname <> 'public' and not exists (
                select from pg_depend
                  join pg_depend as member
                    on member.classid = pg_depend.classid and member.objid = pg_depend.objid
                   and member.deptype = 'e'
                 where pg_depend.refclassid = 'pg_namespace'::regclass
                   and pg_depend.refobjid = pg_namespace.oid) as is_droppable
         from pg_namespace
        where nspname !~ '^pg_'
          and nspname not in ('information_schema', 'provisioning', 'graphile_migrate')
          and not (nspname = 'pgmq' and to_regclass('pgmq.meta') is not null)
          and not exists (select from pg_depend
                           where classid = 'pg_namespace'::regclass and objid = pg_namespace.oid
                             and deptype = 'e')),
     mixed as (select oid from own where not is_droppable),
     object (classid, oid, kind, step) as (
       select 'pg_class'::regclass, oid,
              case relkind when 'v' then 'view' when 'm' then 'materialized view'
                   when 'S' then 'sequence' when 'f' then 'foreign table' else 'table' end, 1
         from pg_class
        where relnamespace in (select oid from mixed) and not relispartition
          and relkind in ('r', 'p', 'v', 'm', 'S', 'f')
       union all
       select 'pg_proc', oid,
              case prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end, 2
         from pg_proc where pronamespace in (select oid from mixed)
       union all
       select 'pg_type', oid, case typtype when 'd' then 'domain' else 'type' end, 3
         from pg_type
        where typnamespace in (select oid from mixed)
          and (typtype in ('d', 'e', 'r') or typrelid in (select oid from pg_class where relkind = 'c'))
       union all
       select 'pg_collation', oid, 'collation', 4
         from pg_collation where collnamespace in (select oid from mixed)
       union all
       select 'pg_operator', oid, 'operator', 4
         from pg_operator where oprnamespace in (select oid from mixed))
     select format('drop schema %I cascade', nspname) as statement, 0 as step
       from own where is_droppable
     union all
     select format('drop %s if exists %s cascade', kind,
              case when classid = 'pg_class'::regclass then object.oid::regclass::text
                   when classid = 'pg_proc'::regclass then object.oid::regprocedure::text
                   when classid = 'pg_type'::regclass then object.oid::regtype::text
                   when classid = 'pg_collation'::regclass then object.oid::regcollation::text
                   else object.oid::regoperator::text end), step
       from object
      where not exists (select from pg_depend
                         where pg_depend.classid = object.classid and objid = object.oid
                           and deptype = 'e')
      order by step, statement`,
  )
  return rows.map((row) => row.statement)
}

async function listTableOids(client: Client): Promise<number[]> {
  const { rows } = await client.query<{ oid: number }>(
    `select oid::int8::float8 as oid from pg_class where oid >= 16384 and relkind in ('r', 'p')`,
  )
  return rows.map((row) => row.oid)
}
