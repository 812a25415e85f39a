import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import type { Queryable } from '../postgres/client.ts'
import { isInsufficientPrivilege } from '../postgres/errors.ts'
import type { CommittedMigration } from './files/migration.ts'

/** What a concurrent statement left behind when it did not complete, and no live session is working on. */
export interface Unfinished {
  readonly kind: 'index' | 'partition'
  readonly oid: number
  /** Without its schema, as a migration may write it. */
  readonly name: string
  /** With its schema, quoted as SQL needs it. */
  readonly qualifiedName: string
  /** Of a partition: the statements that complete the detaching, and that attach it again. */
  readonly finalize: string | null
  readonly attachAgain: string | null
}

/**
 * Lists invalid indexes and partitions whose detaching was interrupted. An index of a partitioned table
 * is not one of them: it is invalid by design until every partition has its own. What a session is
 * working on is left out: it shows its progress, or holds the lock of such statements.
 */
export async function listUnfinished(client: Queryable): Promise<Unfinished[]> {
  const { rows } = await client.query<Unfinished>(
    `with busy as (
       select l.relation, p.pid is not null as builds
         from pg_catalog.pg_locks as l
         left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
         left join pg_catalog.pg_stat_progress_create_index as p on p.pid = l.pid
        where l.locktype = 'relation' and l.granted and l.mode = 'ShareUpdateExclusiveLock'
          and l.pid <> pg_catalog.pg_backend_pid()
          and l.database = (select oid from pg_catalog.pg_database
                             where datname = pg_catalog.current_database())
          and coalesce(a.backend_type, 'client backend') = 'client backend')
     select 'index' as kind, i.indexrelid::int8::float8 as oid, c.relname as name,
            pg_catalog.format('%I.%I', n.nspname, c.relname) as "qualifiedName",
            null as finalize, null as "attachAgain"
       from pg_catalog.pg_index as i
       join pg_catalog.pg_class as c on c.oid = i.indexrelid and c.relkind = 'i'
       join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
      where not i.indisvalid
        and not exists (select from busy where relation = i.indexrelid
                                            or relation = i.indrelid and builds)
     union all
     select 'partition', c.oid::int8::float8, c.relname,
            pg_catalog.format('%I.%I', n.nspname, c.relname),
            pg_catalog.format('alter table %I.%I detach partition %I.%I finalize',
                              pn.nspname, p.relname, n.nspname, c.relname),
            pg_catalog.format('alter table %I.%I attach partition %I.%I %s',
                              pn.nspname, p.relname, n.nspname, c.relname,
                              pg_catalog.pg_get_expr(c.relpartbound, c.oid))
       from pg_catalog.pg_inherits as h
       join pg_catalog.pg_class as c on c.oid = h.inhrelid
       join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
       join pg_catalog.pg_class as p on p.oid = h.inhparent
       join pg_catalog.pg_namespace as pn on pn.oid = p.relnamespace
      where h.inhdetachpending
        and not exists (select from busy where relation in (c.oid, p.oid))
      order by "qualifiedName"`,
  )
  return rows
}

/** Names it, for a person. */
export function describeUnfinished({ kind, qualifiedName }: Unfinished): string {
  return kind === 'index'
    ? `it left the invalid index ${qualifiedName}`
    : `it left the partition ${qualifiedName} half detached`
}

/** Copies of indexes that reindex concurrently makes, and the originals that it replaces. */
const REINDEX_COPY = /_cc(?:new|old)\d*$/

/** The files whose text names it. That of a large file is not known: a person has to look at it. */
function namedBy(files: readonly CommittedMigration[], { name }: Unfinished): CommittedMigration[] {
  const word = new RegExp(`(?<![\\p{L}\\p{N}_$])${escapeRegExp(name)}(?![\\p{L}\\p{N}_$])`, 'iu')
  return files.filter(({ noTransaction, body }) => noTransaction && word.test(body ?? ''))
}

/** The statement that repairs it. `pending` are the files that are still to run. */
export function findRepair(one: Unfinished, pending: readonly CommittedMigration[]): string {
  const { kind, qualifiedName, finalize, attachAgain } = one
  const isRunAgain = pending.some(({ noTransaction }) => noTransaction)
  if (kind === 'partition') return isRunAgain ? `${finalize}; ${attachAgain}` : String(finalize)
  return isRunAgain || REINDEX_COPY.test(one.name)
    ? `drop index concurrently ${qualifiedName}`
    : `reindex index concurrently ${qualifiedName}`
}

/** What has to happen to it before the pending files run. */
export function planRepair(
  one: Unfinished,
  committed: readonly CommittedMigration[],
  pending: readonly CommittedMigration[],
): 'drop' | 'leave to the file' | 'refuse' {
  if (one.kind === 'partition') return 'refuse'
  const again = namedBy(pending, one)
  // The file drops it itself, or was interrupted while it did.
  if (again.some(({ body }) => dropsIndex(body ?? '', one.name))) return 'leave to the file'
  // The file that made it runs again, and makes it again.
  if (again.length > 0) return 'drop'
  const isCopy = REINDEX_COPY.test(one.name) && pending.some((file) => file.noTransaction)
  return isCopy && namedBy(committed, one).length === 0 ? 'drop' : 'refuse'
}

function dropsIndex(body: string, name: string): boolean {
  const statements = body.matchAll(/\bdrop\s+index\b([^;]*)/giu)
  return [...statements].some(([, rest = '']) => rest.toLowerCase().includes(name.toLowerCase()))
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

/** Throws `migration_unfinished` unless nothing was left. */
export function assertNoneUnfinished(
  found: readonly Unfinished[],
  pending: readonly CommittedMigration[],
): void {
  if (found.length === 0) return
  const what = found.map(({ kind, qualifiedName }) =>
    kind === 'index'
      ? `the index ${qualifiedName} is invalid`
      : `${qualifiedName} is half detached`,
  )
  const repair = found.map((one) => `${findRepair(one, pending)};`)
  throw new ServiceError(
    'migration_unfinished',
    `a migration that runs outside a transaction (--! no-transaction) left something unfinished: ` +
      `${what.join(', ')}; repair it, and start the service again: ${repair.join(' ')}`,
    { extensions: { unfinished: found.map(({ qualifiedName }) => qualifiedName), repair } },
  )
}

const NAME = '("(?:[^"]|"")+"|[\\p{L}_][\\p{L}\\p{N}_$]*)'
const CREATED_INDEX =
  '\\bcreate\\s+(?:unique\\s+)?index\\s+concurrently\\s+' +
  `${NAME}\\s+on\\s+(?:only\\s+)?(?:${NAME}\\s*\\.\\s*)?${NAME}`

/**
 * Lists the valid indexes that this file would make again, and fail: it completed, but the service was
 * killed before it was recorded. An index that was there before is not one of them.
 */
export async function listCompleted(
  client: Queryable,
  { noTransaction, body = '' }: CommittedMigration,
): Promise<string[]> {
  if (!noTransaction) return []
  const found = body.matchAll(new RegExp(CREATED_INDEX, 'giu'))
  const created = [...found].filter(([, name]) => !/^if$/i.test(name ?? ''))
  const { rows } = await client.query<{ qualifiedName: string }>(
    `select pg_catalog.format('%I.%I', n.nspname, c.relname) as "qualifiedName"
       from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]))
              as created (index, relation)
       join pg_catalog.pg_class as c on c.relname = created.index
       join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
       join pg_catalog.pg_index as i on i.indexrelid = c.oid and i.indisvalid
       join pg_catalog.pg_class as t on t.oid = i.indrelid and t.relname = created.relation
      where not exists (select from ${MEMORY} as memory where memory.oid = c.oid)
      order by 1`,
    [created.map(([, name]) => unquote(name)), created.map(([, , , table]) => unquote(table))],
  )
  return rows.map(({ qualifiedName }) => qualifiedName)
}

/** A name as the catalogue has it. */
function unquote(name = ''): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase()
}

/**
 * Remembers in the database, beside the history, that migrations outside a transaction are running, and
 * what was there before, complete or not: a service that is killed has no other way to tell the next one.
 */
const MEMORY = 'graphile_migrate.commandbus_db_unfinished'

/** What was unfinished before such migrations began; undefined if none has begun. */
export async function recallUnfinished(
  client: Queryable,
): Promise<ReadonlySet<number> | undefined> {
  const { rows: exists } = await client.query<{ found: boolean }>(
    `select pg_catalog.to_regclass('${MEMORY}') is not null as found`,
  )
  if (!exists[0]?.found) return undefined
  const { rows } = await client.query<{ oid: number }>(
    `select oid::int8::float8 as oid from ${MEMORY} where not was_valid`,
  )
  return new Set(rows.map(({ oid }) => oid))
}

/** Remembers what is unfinished before the migrations run, and the first time also which indexes are not. */
export async function rememberUnfinished(
  client: Queryable,
  known: readonly number[],
  log: Log,
): Promise<void> {
  try {
    const { rows } = await client.query<{ found: boolean }>(
      `select pg_catalog.to_regnamespace('graphile_migrate') is not null as found`,
    )
    // Where it exists, even `if not exists` would need the right to create one.
    if (!rows[0]?.found) await client.query('create schema graphile_migrate')
    const { rows: memory } = await client.query<{ found: boolean }>(
      `select pg_catalog.to_regclass('${MEMORY}') is not null as found`,
    )
    if (!memory[0]?.found) {
      // Together: a service that is killed in between would take every index for one of the files'.
      await client.query(
        `create table ${MEMORY} as
           select indexrelid as oid, true as was_valid
             from pg_catalog.pg_index
            where indisvalid and indexrelid >= 16384`,
      )
    }
    await client.query(
      `insert into ${MEMORY} (oid, was_valid)
       select oid, false
         from pg_catalog.unnest($1::oid[]) as oid
        where not exists (select from ${MEMORY} as memory where memory.oid = oid.oid)`,
      [known],
    )
  } catch (error) {
    if (!isInsufficientPrivilege(error)) throw error
    log.warn(
      { err: error },
      'cannot remember what a migration outside a transaction leaves if the service is killed',
    )
  }
}

/** Forgets that such migrations were running. */
export async function forgetUnfinished(client: Queryable): Promise<void> {
  await client.query(`drop table if exists ${MEMORY}`)
}
