import { STORED_OBJECTS_SQL } from '../../baseline/store.ts'
import { differencesSql } from '../../catalog/diff.ts'
import { emptiedStateSql } from '../../catalog/emptied.ts'
import {
  OBJECTS_FINGERPRINT_SQL,
  OBJECTS_VERSION_SQL,
  PARTS_FINGERPRINT_SQL,
} from '../../catalog/fingerprint.ts'
import { notCompared } from '../../catalog/scope.ts'
import { literal } from '../../postgres/quote.ts'
import { paragraphs, sql } from '../../postgres/sql-text.ts'
import { RESET_STATE } from '../../postgres/sqlstate.ts'
import { detectDirtyTables } from './detect.ts'
import type { NumberedSchema } from './numbered.ts'
import { findNewPartitions, hasPartitioned } from './partitions.ts'
import { dropNewQueues, dropUnlistedQueues } from './queues.ts'

/** The functions that the schema check calls. */
export function schemaCheckFunctions(schema: NumberedSchema): string {
  const isPartitioned = hasPartitioned(schema)
  return paragraphs(
    NEW_PLAN_ID,
    sql`
      -- The functions below are stable: each sees the database as the statement that calls it does.

      -- Changes with every object that is created, renamed, altered or dropped. Columns, constraints,
      -- triggers, rules and policies are not among them.
      ${functionReturning('numeric', 'objects_fingerprint()', OBJECTS_FINGERPRINT_SQL)}

      -- Changes with every change of objects_fingerprint, and with temporary objects.
      ${functionReturning('numeric', 'objects_version()', OBJECTS_VERSION_SQL)}

      -- Changes with the columns, constraints, triggers, rules and policies of relations.
      ${functionReturning('numeric', 'parts_fingerprint()', PARTS_FINGERPRINT_SQL)}

      -- Another text when a transaction that wrote anything has ended. This one is not counted.
      ${functionReturning('text', 'running_transactions(p_snapshot pg_snapshot)', RUNNING_TRANSACTIONS)}

      -- The objects whose definition is not that of the baseline; null if there are none.
      ${functionReturning(
        'jsonb',
        `schema_differences(${isPartitioned ? 'p_new_partitions oid[]' : ''})`,
        sql`
          select jsonb_agg(difference)
            from (
              ${differencesSql({
                stored: STORED_OBJECTS_SQL,
                hasPgmq: schema.queues !== undefined,
                leftOut: notCompared(schema.others),
                ...(isPartitioned && { partitionsLeftOut: 'p_new_partitions' }),
              })}
            ) as difference`,
      )}`,
  )
}

/**
 * A fingerprint of all columns, constraints and triggers takes longer than the rest of a clean reset. So
 * the function asks first whether PostgreSQL itself has noticed that one of them changed.
 */
const NEW_PLAN_ID = sql`
  -- Tells whether PostgreSQL has planned a statement again, and so whether a relation that the statement
  -- names may have been altered. A statement gets the same id from this function as long as its plan is
  -- kept, and a new one as soon as it is planned again.
  --
  -- The function is not immutable. It is declared immutable for the effect that this has on a cached
  -- plan, by three facts that PostgreSQL's manual states:
  -- 1. PL/pgSQL caches the plan of every statement for the session, and a statement without parameters
  --    has one plan for all its executions (PL/pgSQL Under the Hood, Plan Caching).
  -- 2. The planner calls an immutable function once and puts its result into the plan, so that a cached
  --    plan returns a stale value (Function Volatility Categories).
  -- 3. A cached plan is made again before its next use when the definition of an object in it has
  --    changed, or when statistics were updated (PREPARE, Notes).
  -- A plan that is made again without need, as after ANALYZE, costs one fingerprint of the parts.
  create or replace function pg_temp.new_plan_id()
  returns uuid
  language plpgsql
  immutable
  as $$
  begin
    return gen_random_uuid();
  end;
  $$;`

const RUNNING_TRANSACTIONS = sql`
  select concat(pg_snapshot_xmax(p_snapshot), ' ', array(select pg_snapshot_xip(p_snapshot)))`

/** A function in PL/pgSQL, which keeps the plan of its query; one in SQL would not before PostgreSQL 18. */
function functionReturning(type: string, signature: string, query: string): string {
  return sql`
    create or replace function pg_temp.${signature}
    returns ${type}
    language plpgsql
    stable
    as $$
    begin
      return (
        ${query}
      );
    end;
    $$;`
}

/** Raises an error if the schemas to be emptied have other tables than the function was generated for. */
export function checkEmptiedSchemas({ others }: NumberedSchema): string {
  if (others.emptiedState === undefined) return ''
  return sql`
    -- The schemas to be emptied may have other tables by now, or other triggers.
    if coalesce((
      ${emptiedStateSql(others.emptied)}
    ), '') <> ${literal(others.emptiedState)} then
      raise exception 'stale' using errcode = '${RESET_STATE.stale}';
    end if;`
}

/**
 * Raises an error if the schema is not that of the baseline, or not the one that was generated for; and looks
 * for rows, by statements that tell on the way whether their relations have been altered.
 */
export function checkSchema(schema: NumberedSchema): string {
  return sql`
    v_snapshot := pg_current_snapshot();

    if not p_is_same_schema then
      ${readObjectsFingerprint()}
      v_compare := v_objects_fingerprint is distinct from v_objects_fingerprint_now;
      ${dropNewQueuesFirst(schema)}
    end if;

    -- Compare the definitions only if a fingerprint differs. That need not mean anything: a table may
    -- have been truncated, or a column renamed and renamed back.
    loop
      if v_compare then
        ${compareDefinitions(schema)}
      end if;

      ${detectDirtyTables(schema)}

      exit when v_compare or p_is_same_schema${schema.parts.hasCompositeTypes ? '' : SAME_PLANS};
      v_compare := v_parts_fingerprint is distinct from pg_temp.parts_fingerprint();
      exit when not v_compare;
    end loop;`
}

/** Plans say nothing about composite types: no statement can name one as it names a relation. */
const SAME_PLANS = ` or to_jsonb(v_plan_ids) = p_known -> 'planIds'`

function readObjectsFingerprint(): string {
  return sql`
    -- The version is read first. If the catalogue changes before the fingerprint is read, it is the version
    -- that is out of date, and the next reset reads the fingerprint again.
    v_objects_version := pg_temp.objects_version();
    if v_objects_version::text = p_known ->> 'objectsVersion' then
      v_objects_fingerprint_now := (p_known ->> 'objectsFingerprint')::numeric;
    else
      v_objects_fingerprint_now := pg_temp.objects_fingerprint();
    end if;`
}

function dropNewQueuesFirst(schema: NumberedSchema): string {
  if (schema.queues === undefined) return ''
  return sql`
    if v_compare then
      ${dropNewQueues(schema)}
      if v_dropped_queues <> '{}' then
        ${readObjectsFingerprint()}
        v_compare := v_objects_fingerprint is distinct from v_objects_fingerprint_now;
      end if;
    end if;`
}

function compareDefinitions(schema: NumberedSchema): string {
  return sql`
    -- Taken before the definitions are read, so that the next reset notices a change in between.
    v_parts_fingerprint_now := pg_temp.parts_fingerprint();
    v_keep_fingerprints := true;
    ${dropUnlistedQueues(schema)}
    ${findNewPartitions(schema)}
    v_differences := pg_temp.schema_differences(${hasPartitioned(schema) ? 'v_new_partitions' : ''});
    if v_differences is not null then
      raise exception 'schema changed'
        using errcode = '${RESET_STATE.schemaChanged}', detail = v_differences::text;
    end if;
    -- An object that was dropped and created again just as it was has another oid.
    if exists (
      select from unnest(c_table_names || c_sequence_names, c_table_oids || c_sequence_oids)
                  as generated_for (name, oid)
       where to_regclass(name) is distinct from oid
    ) then
      raise exception 'stale' using errcode = '${RESET_STATE.stale}';
    end if;`
}

/** Keeps the fingerprints for the next reset, where they differ although no definition does. */
export const KEEP_FINGERPRINTS = sql`
  -- Keep the fingerprints for the next reset. If another transaction has ended meanwhile, its changes
  -- cannot be told from those of the reset: then null makes the next reset compare the definitions.
  if v_wrote_catalog then
    update provisioning.baseline
       set (objects_fingerprint, parts_fingerprint) = (
             select pg_temp.objects_fingerprint(), pg_temp.parts_fingerprint()
              where pg_temp.running_transactions(v_snapshot)
                    = pg_temp.running_transactions(pg_current_snapshot()));
  elsif v_keep_fingerprints then
    update provisioning.baseline
       set objects_fingerprint = v_objects_fingerprint_now,
           parts_fingerprint = v_parts_fingerprint_now;
  end if;`
