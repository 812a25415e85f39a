import type { BaselineSchema } from '../../baseline/schema.ts'
import { STORED_OBJECTS_SQL } from '../../baseline/store.ts'
import { differencesSql } from '../../catalog/diff.ts'
import { OBJECTS_FINGERPRINT_SQL, PARTS_FINGERPRINT_SQL } from '../../catalog/fingerprint.ts'
import { textArray } from '../../postgres/quote.ts'
import { RESET_STATE } from '../../postgres/sqlstate.ts'
import { inChunks } from './chunks.ts'
import { planLostQueues } from './queues.ts'

/** The signs tell whether to look closer: only then every definition is compared. */
export function planSchemaCheck({ tables, sequences, queues, parts }: BaselineSchema): string {
  const known = [...tables, ...sequences]
  return `
  v_running := (${RUNNING_SQL});
${planStamps(parts.relations)}
  v_catalog_now := (${OBJECTS_FINGERPRINT_SQL});
  if v_catalog_sign is distinct from v_catalog_now
     or (${parts.hasCompositeTypes} or v_stamps is distinct from p_known_stamps)
        and v_parts_sign is distinct from (${PARTS_FINGERPRINT_SQL}) then
    -- Before the definitions are read: what changes in between shows the next time.
    v_parts_now := (${PARTS_FINGERPRINT_SQL});
    v_are_signs_new := true;${planLostQueues(queues)}
    select jsonb_agg(difference) into v_differences
      from (${differencesSql({ stored: STORED_OBJECTS_SQL, hasPgmq: queues !== undefined })}) as difference;
    if v_differences is not null then
      raise exception 'schema changed'
        using errcode = '${RESET_STATE.schemaChanged}', detail = v_differences::text;
    end if;
    if exists (select from unnest(${textArray(known.map(({ name }) => name))},
                                  '{${known.map(({ oid }) => oid).join(',')}}'::oid[]) as known (name, oid)
                where to_regclass(name) is distinct from oid) then
      raise exception 'stale' using errcode = '${RESET_STATE.stale}';
    end if;
  end if;
`
}

/**
 * A stamp is taken when its statement is planned, since it is said to be immutable; and PostgreSQL plans
 * a statement anew whenever a relation in it has undergone a change of its definition (PREPARE says so).
 * The relations are named only for that, and never read.
 */
function planStamps(relations: readonly string[]): string {
  return inChunks(relations)
    .map(
      (names) => `  select pg_temp.plan_stamp() into v_stamp
   where true or ${names.map((name) => `exists (select from ${name})`).join(' or ')};
  v_stamps := v_stamps || v_stamp;\n`,
    )
    .join('')
}

/** As long as it stays, no transaction that wrote anything has ended; its own is not among them. */
const RUNNING_SQL = `select concat(pg_snapshot_xmax(snapshot), ' ',
           array(select pg_snapshot_xip(snapshot))) from pg_current_snapshot() as snapshot`

/**
 * Where others have written while the reset did, what they did to the catalogue cannot be told from what
 * it did itself: then the next one compares every definition.
 */
export const KEEP_SIGNS = `  if v_signs_anew then
    update provisioning.baseline
       set (objects_fingerprint, parts_fingerprint) = (
             select (${OBJECTS_FINGERPRINT_SQL}), (${PARTS_FINGERPRINT_SQL})
              where v_running = (${RUNNING_SQL}));
  elsif v_are_signs_new then
    update provisioning.baseline set objects_fingerprint = v_catalog_now, parts_fingerprint = v_parts_now;
  end if;`
