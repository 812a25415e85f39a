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

/** The same as the record has it, which a session of the service reads anyway. */
const COMMITTED_OF_RECORD = sql`
  (select 'committed ' || last_migration from provisioning.recorded_schema where moment = 'after')`

/** A condition: the object has these aspects, null if it does not exist, where the committed migrations left it so. */
export const isAsCommittedSql = (kind: string, name: string, aspects: string) => sql`
  (exists (select from provisioning.recorded_object where moment = ${COMMITTED_OF_RECORD})
    and ${aspects} is not distinct from
        (select committed.aspects
           from provisioning.recorded_object as committed
          where moment = ${COMMITTED_OF_RECORD}
            and (committed.kind, committed.name) = (${kind}, ${name})))`

/**
 * Records what is as the committed migrations made it as theirs, although the uncommitted one had changed it: that was
 * undone by hand. What there is now is recorded as the moment `before`.
 */
export const FORGET_UNDONE_SQL = sql`
  delete
    from provisioning.recorded_object as recorded
   where moment = 'after'
     -- PostgreSQL's own schema is there, also while it is empty.
     and (kind, name) <> ('schema', 'public')
     and not exists (select from provisioning.recorded_object as now
                      where now.moment = 'before'
                        and (now.kind, now.name) = (recorded.kind, recorded.name))
     and ${isAsCommittedSql('recorded.kind', 'recorded.name', 'null::jsonb')};
  insert into provisioning.recorded_object (moment, ${RECORDED_COLUMNS})
  select 'after', ${RECORDED_COLUMNS}
    from provisioning.recorded_object as now
   where moment = 'before'
     and aspects is distinct from (select aspects
                                     from provisioning.recorded_object as recorded
                                    where recorded.moment = 'after'
                                      and (recorded.kind, recorded.name) = (now.kind, now.name))
     and ${isAsCommittedSql('now.kind', 'now.name', 'now.aspects')}
      on conflict (moment, kind, name) do update set aspects = excluded.aspects`

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

/**
 * Selects how the recorded objects differ from those of an earlier moment, an expression. `current` is a condition
 * on the recorded objects.
 */
export const changesSinceSql = (moment: string, current = 'true') =>
  differenceSql({
    recorded: `select * from provisioning.recorded_object where moment = ${moment}`,
    current: `select * from provisioning.recorded_object as made where moment = 'after' and ${current}`,
    hasAddresses: 'true',
    // PostgreSQL's own schema counts as added when something is in it.
    condition: sql`
      exists (select from provisioning.recorded_object where moment = ${moment})
      and (difference.kind, difference.name) <> ('schema', 'public')`,
    listsContentOfSchemas: true,
    limit: MAX_CHANGES,
  })

/** A condition: the object was not dropped by hand since, unless the migrations made it: then that is drift. */
const IS_LEFT = sql`
  (exists (select from provisioning.recorded_object as committed
            where committed.moment = ${COMMITTED}
              and (committed.kind, committed.name) = (made.kind, made.name))
   or (pg_identify_object(classid, objid, objsubid)).identity is not null
   -- In a copy of another database the addresses say nothing.
   or not exists (select
                    from provisioning.recorded_schema
                    join pg_database on pg_database.oid = database_oid
                   where moment = 'after'
                     and datname = current_database()))`

const CHANGES_SQL = changesSinceSql(COMMITTED, IS_LEFT)

/** Reads how the recorded objects differ from those of the committed migrations; empty where none are kept. */
export async function readCurrentDifferences(client: Queryable): Promise<ObjectDifference[]> {
  if (!(await mayRead(client))) return []
  return (await client.query<ObjectDifference>(CHANGES_SQL)).rows
}

/** Describes the differences; one that adds nothing to another is left out. */
export function describeAll(differences: readonly ObjectDifference[]): Difference[] {
  return differences.flatMap((one) => describeDifference(one) ?? [])
}

/** Why the uncommitted migration could not be applied when it was last saved. */
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

/** What the database says about the uncommitted migration. */
export interface CurrentState {
  /** What it has changed since the last commit. */
  readonly changes: readonly Difference[]
  /** Undefined if it was applied, or if nothing is known. */
  readonly failure?: CurrentFailure | undefined
}

/** Reads what the uncommitted migration has changed, and why it could not be applied; empty where nothing is recorded. */
export async function readCurrentState(client: Queryable): Promise<CurrentState> {
  if (!(await mayRead(client))) return { changes: [] }
  const { rows } = await client.query<ObjectDifference>(CHANGES_SQL)
  const { rows: failures } = await client.query<{ failure: CurrentFailure }>(
    `select aspects as failure from provisioning.recorded_object where moment = 'failure'`,
  )
  return { changes: describeAll(rows), failure: failures[0]?.failure }
}

/** Checked first: a query that fails would leave an error in PostgreSQL's log for each status. */
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
