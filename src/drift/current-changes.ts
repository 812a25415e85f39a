import { RECORDED_COLUMNS } from '../baseline/recorder-script.ts'
import type { Queryable } from '../postgres/client.ts'
import { literal } from '../postgres/quote.ts'
import { sql } from '../postgres/sql-text.ts'
import { type Difference, describeDifference, type ObjectDifference } from './describe.ts'
import { differenceSql } from './difference-sql.ts'

/*
 * What the uncommitted migration changes is recorded as it is applied, so that it is no drift. The development
 * loop also keeps the objects as the committed migrations made them, as the moment `committed HASH` of the
 * recorded objects: of the last migration, and of the one before it, to which an uncommit returns.
 */

/** More than anybody reads. */
const MAX_CHANGES = 200

/** An expression: the moment of the objects that the last migration made; null without a history. */
const COMMITTED = sql`(select 'committed ' || last_migration from provisioning.read_history())`

/** See `keepCommittedObjects`. */
export const KEEP_COMMITTED_SQL = sql`
  do $$
  declare
    v_moment constant text := ${COMMITTED};
  begin
    if v_moment is null
       or exists (select from provisioning.recorded_object where moment = v_moment) then
      return;
    end if;
    delete
      from provisioning.recorded_object
     where starts_with(moment, 'committed')
       and moment not in (select 'committed ' || hash from graphile_migrate.migrations
                           order by length(filename) desc, filename desc
                           limit 2);
    insert into provisioning.recorded_object (moment, ${RECORDED_COLUMNS})
    select v_moment, ${RECORDED_COLUMNS} from provisioning.recorded_object where moment = 'after';
  end
  $$`

/**
 * Keeps the recorded objects as those of the committed migrations, unless they are kept already. To be called
 * before an uncommitted migration is applied.
 */
export async function keepCommittedObjects(client: Queryable): Promise<void> {
  await client.query(KEEP_COMMITTED_SQL)
}

/** Selects how the recorded objects differ from those of an earlier moment, an expression. */
export const changesSinceSql = (moment: string) =>
  differenceSql({
    recorded: `select * from provisioning.recorded_object where moment = ${moment}`,
    current: `select * from provisioning.recorded_object where moment = 'after'`,
    hasAddresses: 'true',
    // PostgreSQL's own schema counts as added when something is in it.
    condition: sql`
      exists (select from provisioning.recorded_object where moment = ${moment})
      and (difference.kind, difference.name) <> ('schema', 'public')`,
    listsContentOfSchemas: true,
    limit: MAX_CHANGES,
  })

const CHANGES_SQL = changesSinceSql(COMMITTED)

/** Reads how the recorded objects differ from those of the committed migrations; empty where none are kept. */
export async function readCurrentDifferences(client: Queryable): Promise<ObjectDifference[]> {
  if (!(await mayRead(client))) return []
  return (await client.query<ObjectDifference>(CHANGES_SQL)).rows
}

/** The same, described. */
export async function readCurrentChanges(client: Queryable): Promise<readonly Difference[]> {
  return describeAll(await readCurrentDifferences(client))
}

/** Describes the differences; what says nothing that another one does not is left out. */
export function describeAll(differences: readonly ObjectDifference[]): Difference[] {
  return differences.flatMap((one) => describeDifference(one) ?? [])
}

/** Why the uncommitted migration was not applied when it was saved last. */
export interface CurrentFailure {
  readonly message: string
  /** Relative to the migrations folder. */
  readonly file?: string
  readonly line?: number
}

/** Statements that record why the uncommitted migration fails, or that it does not. */
export function recordFailureSql(failure: CurrentFailure | undefined): string {
  const remove = `delete from provisioning.recorded_object where moment = 'failure'`
  if (failure === undefined) return remove
  return sql`
    ${remove};
    insert into provisioning.recorded_object (moment, ${RECORDED_COLUMNS})
    values ('failure', 'failure', '', null, null, ${literal(JSON.stringify(failure))}, 0, 0, 0)`
}

/** Reads why the uncommitted migration was not applied; undefined if it was, or if nothing is known. */
export async function readCurrentFailure(client: Queryable): Promise<CurrentFailure | undefined> {
  if (!(await mayRead(client))) return undefined
  const { rows } = await client.query<{ failure: CurrentFailure }>(
    `select aspects as failure from provisioning.recorded_object where moment = 'failure'`,
  )
  return rows[0]?.failure
}

/** Asked first: a query that fails would leave an error in PostgreSQL's log at each status. */
async function mayRead(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ mayRead: boolean }>(MAY_READ_SQL)
  return rows[0]?.mayRead ?? false
}

const MAY_READ_SQL = sql`
  select coalesce(has_schema_privilege(relnamespace, 'usage')
                    and has_table_privilege(pg_class.oid, 'select')
                    and has_function_privilege(
                          to_regprocedure('provisioning.read_history()'), 'execute'), false) as "mayRead"
    from pg_class
   where relnamespace = (select oid from pg_namespace where nspname = 'provisioning')
     and relname = 'recorded_object'`
