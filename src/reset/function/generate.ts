import type { ThisDatabase } from '../../baseline/disposable.ts'
import type { BaselineSchema } from '../../baseline/schema.ts'
import type { Baseline } from '../../baseline/store.ts'
import { literal } from '../../postgres/quote.ts'
import { dollarQuote, lines, paragraphs, sql } from '../../postgres/sql-text.ts'
import { compareRows, detectLargeTables, refuseReadOnlyTables } from './detect.ts'
import { lockLastBlocker, lockMaterializedViews, lockTables } from './locks.ts'
import { detectStaleViews, refreshViews } from './materialized-views.ts'
import { type NumberedSchema, numberSchema } from './numbered.ts'
import { dropNewPartitions, hasPartitioned } from './partitions.ts'
import { dropQueueFunction } from './queues.ts'
import { detectHiddenRows, forceRowSecurity } from './row-security.ts'
import { deleteRows, insertRows, restoreReferrers } from './rows.ts'
import {
  checkEmptiedSchemas,
  checkSchema,
  KEEP_FINGERPRINTS,
  schemaCheckFunctions,
} from './schema-check.ts'
import { detectUsedSequences, restartCachedSequences, setSequences } from './sequences.ts'
import { disableTriggers, enableTriggers } from './triggers.ts'
import { truncateLargeTables } from './truncate.ts'

export interface ResetFunctionOptions {
  readonly baseline: Baseline
  /** Read in the session for which the function is generated. */
  readonly thisDatabase: ThisDatabase
  readonly schema: BaselineSchema
  /** Set while rows are inserted: constraints and generated columns may call functions that depend on it. */
  readonly searchPath: string
  /** How long to wait for a lock while holding others: less than deadlock_timeout. */
  readonly lockWaitMs: number
}

/** What the function returns; tables and sequences by their number in the schema, counted from 1. */
export interface ResetOutcome {
  /** The whole outcome of a call that only detects changes. */
  readonly isClean?: boolean
  /** To be passed to the next call, which compares fewer fingerprints while these stay the same. */
  readonly known: Readonly<Record<string, unknown>>
  /** Tables whose rows differed from the baseline. */
  readonly dirty: readonly number[]
  /** These, and the tables that were restored because of them. */
  readonly restored: readonly number[]
  readonly sequences: readonly number[]
  /** Names of queues. */
  readonly droppedQueues: readonly string[]
  /** Quoted and qualified names; undefined where the baseline has no partitioned table. */
  readonly droppedPartitions?: readonly string[]
}

/**
 * Generates the reset as a function of the session, `pg_temp.reset_data`. Its statements are literal, so
 * PostgreSQL keeps their plans, and a reset is one round trip. test/reset/function has the functions that
 * are generated for the project's own schema and for one that has every feature.
 */
export function generateResetFunction(options: ResetFunctionOptions): string {
  const schema = numberSchema(options.schema)
  const body = sql`
    ${declare(schema)}
    begin
      ${paragraphs(lock(schema, options), detectChanges(schema), change(schema, options))}
    end;`
  return paragraphs(
    schemaCheckFunctions(schema),
    dropQueueFunction(schema),
    lines(
      sql`
        -- Restores the data of the baseline: all of it, or nothing and an error.
        create or replace function pg_temp.reset_data(
          p_lock_first      text,    -- The relation that blocked the last attempt, or null.
          p_lock_timeout_ms int,     -- How much of the lock timeout is left.
          p_known           jsonb,   -- What the last call returned as known, or null.
          p_only_detect     boolean, -- Only return whether there is anything to restore.
          p_is_same_schema  boolean default false -- The caller knows that no definition has changed.
        )
        returns jsonb
        language plpgsql`,
      `as ${dollarQuote(body)};`,
    ),
  )
}

function lock(
  schema: NumberedSchema,
  { baseline, thisDatabase, lockWaitMs }: ResetFunctionOptions,
): string {
  return paragraphs(
    heading('Lock: everything that may have to wait does so before anything is changed'),
    lockLastBlocker(lockWaitMs),
    lockTables(schema, { baseline, thisDatabase, lockWaitMs }),
    checkEmptiedSchemas(schema),
    lockMaterializedViews(schema.materializedViews),
  )
}

function detectChanges(schema: NumberedSchema): string {
  const { tables, materializedViews } = schema
  return paragraphs(
    heading('Detect changes'),
    checkSchema(schema),
    detectHiddenRows(tables),
    refuseReadOnlyTables(schema.readOnlyTables),
    detectUsedSequences(schema),
    detectStaleViews(materializedViews),
    sql`
      if p_only_detect then
        -- Rows that were written may still be those of the baseline. A reset restores them anyway.
        ${compareRows(tables)}
        ${forgetEmptied(schema)}
        return jsonb_build_object('isClean',
          v_attempt = v_last_attempt
          and v_dropped_queues = '{}'
          and v_used_sequences = '{}'
          and true <> all (v_dirty)
          and true <> all (v_stale));
      end if;`,
    restoreReferrers(schema),
    detectLargeTables(tables),
  )
}

/** What a reset empties without a comparison says nothing about the baseline. */
function forgetEmptied({ tables, sequences, others }: NumberedSchema): string {
  const isEmptied = ({ schema }: { readonly schema: string }) => others.emptied.includes(schema)
  const numbers = sequences.flatMap((sequence, index) => (isEmptied(sequence) ? index + 1 : []))
  return lines(
    ...tables.filter(isEmptied).map(({ isDirty }) => `${isDirty} := false;`),
    numbers.length === 0
      ? ''
      : sql`
        v_used_sequences := array(
          select number from unnest(v_used_sequences) as number
           where number <> all ('{${numbers.join(',')}}'::int[]));`,
  )
}

function change(schema: NumberedSchema, { searchPath }: ResetFunctionOptions): string {
  const { tables, materializedViews } = schema
  const dropped = hasPartitioned(schema)
    ? [`'droppedQueues', v_dropped_queues,`, `'droppedPartitions', v_dropped_partitions`]
    : [`'droppedQueues', v_dropped_queues`]
  return paragraphs(
    heading('Change: locks that block readers are taken at once, or not at all'),
    disableTriggers(schema),
    truncateLargeTables(schema),
    deleteRows(schema),
    dropNewPartitions(schema),
    insertRows(schema, searchPath),
    sql`
      -- Check what the baseline defers: a table with pending checks cannot be altered.
      set constraints all immediate;`,
    refreshViews(materializedViews),
    enableTriggers(schema),
    forceRowSecurity(tables),
    restartCachedSequences(schema),
    KEEP_FINGERPRINTS,
    sql`
      if v_used_sequences <> '{}' or v_attempt <> v_last_attempt then
        update provisioning.baseline set last_attempt = v_attempt + 1;
        -- A rollback does not undo setval. If the commit fails, last_attempt and the sequence differ,
        -- which tells the next start that a reset was interrupted.
        v_ignored := setval('provisioning.reset_attempt', v_attempt + 1);
        ${setSequences(schema)}
      end if;`,
    sql`
      return jsonb_build_object(
        'known', jsonb_build_object(
          'objectsVersion', v_objects_version::text,
          'objectsFingerprint', v_objects_fingerprint_now::text,
          'planIds', v_plan_ids),
        'dirty', array_positions(v_dirty, true),
        'restored', array_positions(v_restore, true),
        'sequences', v_used_sequences,
        ${lines(...dropped)});`,
  )
}

function declare(schema: NumberedSchema): string {
  const { tables, sequences, queues } = schema
  const array = (items: readonly unknown[]) => `'{${items.join(',')}}'`
  const names = (items: readonly { readonly name: string }[]) =>
    nameList(items.map(({ name }) => name))
  return sql`
    declare
      -- Tables and sequences are referred to by their number in these lists. Parents come before children.
      c_table_names constant text[] := array[
        ${names(tables)}
      ]::text[];
      c_table_oids constant oid[] := ${array(tables.map(({ oid }) => oid))}::oid[];
      -- Of the tables that hold their large values, 0 where there is none.
      c_toast_oids constant oid[] := ${array(tables.map(({ toastOid }) => toastOid))}::oid[];
      c_sequence_names constant text[] := array[
        ${names(sequences)}
      ]::text[];
      c_sequence_oids constant oid[] := ${array(sequences.map(({ oid }) => oid))}::oid[];
      -- The queues of the baseline.
      c_queue_names constant text[] := array[
        ${nameList((queues ?? []).map((queue) => queue.toLowerCase()))}
      ]::text[];

      -- Lock
      v_deadline      timestamptz;
      v_relation      text;                 -- The relation that is being locked.
      v_is_disposable boolean;
      v_queue         text;
      v_ignored       text;                 -- An assignment takes no query, where perform takes one.

      -- The baseline, and what is compared with it
      v_objects_fingerprint     numeric;
      v_objects_fingerprint_now numeric;
      v_objects_version         numeric;
      v_parts_fingerprint       numeric;
      v_parts_fingerprint_now   numeric;
      v_compare                 boolean := false; -- The definitions, one by one.
      v_differences             jsonb;
      v_plan_id                 uuid;
      v_plan_ids                uuid[] := '{}';
      v_last_attempt            bigint;     -- The last reset that was committed.
      v_attempt                 bigint;     -- The last reset that began to set sequences.

      -- What has to be restored, by the number of the table or view
      v_found   boolean[];                  -- A part of v_dirty.
      v_dirty   boolean[] := '{}';          -- The rows of the table differ from the baseline.
      v_restore boolean[] := '{}';          -- It is dirty, or foreign keys tie it to a dirty one.
      v_stale   boolean[] := '{}';          -- The materialized view has to be refreshed.

      -- What has to be restored, as lists
      v_number         int;
      v_size           bigint;
      v_large          int[]  := '{}';      -- Tables to be truncated rather than deleted.
      v_unforced       int[]  := '{}';      -- Tables whose row security is not forced at the moment.
      v_used_sequences int[]  := '{}';
      v_dropped_queues text[] := '{}';
      ${
        hasPartitioned(schema)
          ? lines(
              `v_new_partitions     oid[]  := '{}';`,
              `v_dropped_partitions text[] := '{}';  -- The names of the same.`,
              'v_parent             text;',
            )
          : ''
      }

      -- What the next reset has to compare
      v_snapshot          pg_snapshot;      -- Those transactions that were running when the schema was checked.
      v_keep_fingerprints boolean := false; -- The fingerprints differ, although no definition does.
      v_wrote_catalog     boolean := false; -- The reset itself has changed them.`
}

/** The items of an array, one on each line, with their numbers. */
function nameList(names: readonly string[]): string {
  return names.map((name, index) => `/* ${index + 1} */ ${literal(name)}`).join(',\n')
}

function heading(title: string): string {
  return sql`
    ${'-'.repeat(90)}
    -- ${title}
    ${'-'.repeat(90)}`
}
