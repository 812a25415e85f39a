import { RECORDED_COLUMNS } from '../baseline/recorder-script.ts'
import type { Queryable } from '../postgres/client.ts'
import { sqlstateOf } from '../postgres/errors.ts'
import { sql } from '../postgres/sql-text.ts'
import { SQLSTATE } from '../postgres/sqlstate.ts'
import { type Difference, describeDifference, type ObjectDifference } from './describe.ts'

/*
 * What the uncommitted migration changes is recorded as it is applied, so that it is no drift. The development
 * loop also keeps the objects as the committed migrations made them: as the moment 'committed' of the recorded
 * objects, with an entry that names the last migration.
 */

/** More than anybody reads. */
const MAX_CHANGES = 200

/**
 * Keeps the recorded objects as those of the committed migrations, unless they are kept already. To be called
 * before an uncommitted migration is applied.
 */
export async function keepCommittedObjects(client: Queryable): Promise<void> {
  await client.query(KEEP_SQL)
}

const IS_KEPT = sql`
  exists (select
            from provisioning.recorded_object as kept
            join provisioning.read_history() as history on history.last_migration = kept.name
           where kept.moment = 'committed'
             and kept.kind = 'history')`

const KEEP_SQL = sql`
  do $$
  begin
    if ${IS_KEPT} then
      return;
    end if;
    delete from provisioning.recorded_object where moment = 'committed';
    insert into provisioning.recorded_object (moment, ${RECORDED_COLUMNS})
    select 'committed', ${RECORDED_COLUMNS} from provisioning.recorded_object where moment = 'after'
    union all
    select 'committed', 'history', history.last_migration, null, null, '{}', 0, 0, 0
      from provisioning.read_history() as history
     where history.last_migration is not null;
  end
  $$`

/** Reads how the recorded objects differ from those of the committed migrations; empty where none are kept. */
export async function readCurrentChanges(client: Queryable): Promise<readonly Difference[]> {
  try {
    const { rows } = await client.query<Omit<ObjectDifference, 'newName'>>(CHANGES_SQL)
    return rows.flatMap((row) => describeDifference({ ...row, newName: null }) ?? [])
  } catch (error) {
    const code = sqlstateOf(error)
    if (code === SQLSTATE.undefinedTable || code === SQLSTATE.insufficientPrivilege) return []
    throw error
  }
}

/** The parts of objects that were added or dropped as a whole are not listed; what is in a new schema is. */
const CHANGES_SQL = sql`
  with difference as materialized (
    select kind, name,
           coalesce(committed.parent, recorded.parent) as parent,
           committed.aspects as recorded,
           recorded.aspects as current
      from (select * from provisioning.recorded_object where moment = 'committed') as committed
      full join (select * from provisioning.recorded_object where moment = 'after') as recorded
        using (kind, name)
     where committed.aspects is distinct from recorded.aspects
       and kind <> 'history'
       and ${IS_KEPT}
  )
  select kind, name, parent, recorded, current
    from difference
   where not exists (select
                       from difference as whole
                      where whole.name = difference.parent
                        and whole.kind <> 'schema'
                        and (whole.recorded is null or whole.current is null))
   order by name, kind
   limit ${MAX_CHANGES}`
