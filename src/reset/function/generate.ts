import type { BaselineSchema } from '../../baseline/schema.ts'
import type { Baseline } from '../../baseline/store.ts'

import { literal } from '../../postgres/quote.ts'
import { inCaseOfAny } from './chunks.ts'
import { planMaterializedView, planSequences } from './derived.ts'
import { planCloserLook, planLook } from './detect.ts'
import { planFirstLock, planLocks } from './locks.ts'
import { planQueues } from './queues.ts'
import { planEmpty, planRefill, planSpread, planTruncate } from './restore.ts'
import { KEEP_SIGNS, planSchemaCheck } from './schema-check.ts'
import { planTable, type TablePlan } from './table.ts'

export interface PlanOptions {
  readonly baseline: Baseline
  readonly model: BaselineSchema
  /** While rows are put back: a constraint or a generated column may call functions by bare names. */
  readonly searchPath: string
  /** How long to wait while holding locks: below deadlock_timeout, so that nobody is shot. */
  readonly giveWayMs: number
}

/** What the function answers; tables and sequences by their number in the model, counted from 1. */
export interface Outcome {
  readonly isClean: boolean
  /** To be given to the next call: as long as they stay, so do the parts of the relations. */
  readonly stamps: readonly string[]
  /** Tables whose rows were not those of the baseline. */
  readonly dirty: readonly number[]
  /** These, and those that were put back because of them. */
  readonly mended: readonly number[]
  readonly sequences: readonly number[]
  /** Names of queues. */
  readonly dropped: readonly string[]
}

/**
 * Writes the reset as one function of the session: its statements are literal, so PostgreSQL keeps
 * their plans, and one round trip is all a reset takes.
 *
 * Lock, look, change: whatever can wait does so before anything is changed, and what needs a lock
 * against readers takes it at once or not at all.
 */
export function planReset(options: PlanOptions): string {
  const { model } = options
  const withSigns = [...model.tables.filter((table) => table.hasRows), ...model.materializedViews]
  const signNames = withSigns.map(({ name }) => name)
  const rowsSign = ({ name }: { readonly name: string }) =>
    `v_signs[${signNames.indexOf(name) + 1}]`

  const plans = model.tables.map((table, index) =>
    planTable(table, { number: index + 1, rowsSign: rowsSign(table) }),
  )
  const views = model.materializedViews.map((view, index) =>
    planMaterializedView(view, { number: index + 1, rowsSign: rowsSign(view) }),
  )
  const sequences = planSequences(model)
  const planOf = new Map(plans.map((plan) => [plan.table.name, plan]))
  const parentsFirst = model.groups.map((group) =>
    group.map((table) => planOf.get(table.name) as TablePlan),
  )
  const childrenFirst = parentsFirst.toReversed()

  const body = `
declare
  v_deadline      timestamptz;
  v_is_disposable boolean;
  v_catalog_sign  numeric;
  v_parts_sign    numeric;
  v_catalog_now   numeric;
  v_parts_now     numeric;
  v_stamp         uuid;
  v_stamps        uuid[]    := '{}';
  v_last_attempt  bigint;
  v_attempt       bigint;
  v_signs         numeric[];
  v_table         text;
  v_queue         text;
  v_number        int;
  -- By table, whether its rows have to be put back; by materialised view, whether it has to be.
  v_dirty         boolean[] := '{}';
  v_found_dirty   boolean[];
  v_stale         boolean[] := '{}';
  v_lifted        int[]     := '{}';
  v_large         int[];
  v_sequences     int[]     := '{}';
  v_dropped       text[]    := '{}';
  v_differences   jsonb;
  -- The signs differ, and all the same no definition did.
  v_are_signs_new boolean   := false;
  -- The reset itself has written to the catalogue.
  v_signs_anew    boolean   := false;
  v_running       text;
begin
${planFirstLock(options)}
${planLocks(options, signNames)}
${planQueues(model.queues)}
${planSchemaCheck(model)}
  -- Look.
${planLook(plans)}
${sequences.look}
${views.map((view) => view.look).join('')}
  if p_only_look then
${plans.map(planCloserLook).join('')}
    return jsonb_build_object('isClean', v_attempt = v_last_attempt and v_dropped = '{}'
      and v_sequences = '{}' and true <> all (v_dirty) and true <> all (v_stale));
  end if;
  v_found_dirty := v_dirty;
${inCaseOfAny(parentsFirst, (group) => planSpread(group, planOf, model))}
  -- Change.
${model.foreignKeys.some((key) => key.isDeferrable) ? '  set constraints all deferred;' : ''}
${inCaseOfAny(parentsFirst, (group) => group.map((plan) => plan.disable).join(''))}
${planTruncate(plans, planOf, model)}
${inCaseOfAny(childrenFirst, planEmpty)}
${inCaseOfAny(parentsFirst, (group) => planRefill(group, options.searchPath))}
  set constraints all immediate;
${views.map((view) => view.refresh).join('')}
${plans.map((plan) => plan.enable).join('')}
${sequences.restart}
${KEEP_SIGNS}
  if v_sequences <> '{}' or v_attempt <> v_last_attempt then
    update provisioning.baseline set last_attempt = v_attempt + 1;
    -- From here on outside of the transaction: until it commits, the two differ, and that shows.
    perform setval('provisioning.reset_attempt', v_attempt + 1);${sequences.set}
  end if;
  return jsonb_build_object(
    'stamps', v_stamps, 'dirty', array_positions(v_found_dirty, true), 'mended', array_positions(v_dirty, true),
    'sequences', v_sequences, 'dropped', v_dropped);
end;`
  return `
create or replace function pg_temp.plan_stamp()
returns uuid
language plpgsql
immutable
as 'begin return gen_random_uuid(); end';

create or replace function pg_temp.reset_data(
  p_first text, p_patience_ms int, p_known_stamps uuid[], p_only_look boolean)
returns jsonb
language plpgsql
as ${literal(body)}`
}
