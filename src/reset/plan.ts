import { type Baseline, LAST_MIGRATION_SQL } from './baseline.ts'
import { differencesSql, OBJECTS_SIGN_SQL, PARTS_SIGN_SQL } from './catalog.ts'
import { withReferrers } from './foreign-keys.ts'
import { IS_DISPOSABLE_SQL } from './guard.ts'
import { literal, textArray } from './literal.ts'
import { LOST_QUEUES_SQL, type MaterializedView, type Model } from './model.ts'
import { planMaterializedView, planSequences } from './plan-derived.ts'
import { planTable, type TablePlan } from './plan-table.ts'
import { RESET_STATE, raiseLocked } from './reset-state.ts'

export interface PlanOptions {
  readonly baseline: Baseline
  readonly model: Model
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

type PlanOf = ReadonlyMap<string, TablePlan>

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

/**
 * The table that was in the way is waited for while nothing else is held: long enough for PostgreSQL
 * to end an autovacuum on it, but not for ever, since writers stand in line behind.
 */
function planFirstLock({ giveWayMs }: PlanOptions): string {
  return `
  if p_first is not null then
    perform set_config('lock_timeout', least(p_patience_ms, ${giveWayMs * 4})::text, true);
    begin
      execute format('lock table %s in exclusive mode', p_first);
    exception when lock_not_available then
      ${raiseLocked('p_first', '')}
    end;
  end if;`
}

/** Consent first, then every table; only plain readers go on beside an exclusive lock. */
function planLocks({ baseline, model, giveWayMs }: PlanOptions, signNames: string[]): string {
  const names = model.tables.map((table) => table.name).toSorted()
  const lockTables = `
    begin
      lock table ${names.join(', ')} in exclusive mode nowait;
    exception when lock_not_available then
      foreach v_table in array ${textArray(names)} loop
        perform set_config('lock_timeout', greatest(1, ceil(1000 * extract(epoch from
          v_deadline - clock_timestamp())))::text, true);
        execute format('lock table %s in exclusive mode', v_table);
      end loop;
    end;`
  return `
  v_deadline := clock_timestamp() + make_interval(secs => least(p_patience_ms, ${giveWayMs}) / 1000.0);
  v_table := 'provisioning.disposable';
  begin
    perform set_config('lock_timeout', least(p_patience_ms, ${giveWayMs})::text, true);
    lock table provisioning.disposable in share row exclusive mode;
    select ${IS_DISPOSABLE_SQL}, catalog_sign, parts_sign, last_attempt, last_value,
           array(select rows_sign
                   from unnest(${textArray(signNames)}) with ordinality as kept (name, number)
                   left join provisioning.baseline_relation using (name)
                  order by number)
      into v_is_disposable, v_catalog_sign, v_parts_sign, v_last_attempt, v_attempt, v_signs
      from provisioning.reset_attempt
      left join provisioning.baseline
        on baseline_id = ${baseline.id} and last_migration = (${LAST_MIGRATION_SQL});
    if not v_is_disposable then
      raise exception 'not disposable' using errcode = '${RESET_STATE.notDisposable}';
    end if;
    if v_last_attempt is null then
      raise exception 'no baseline' using errcode = '${RESET_STATE.noBaseline}';
    end if;${names.length > 0 ? lockTables : ''}
  exception when lock_not_available then
    ${raiseLocked('v_table', '')}
  end;${model.materializedViews.map(planViewLock).join('')}`
}

/**
 * Whoever refreshes it is waited for: a refresh reads tables, which it may do, and would bring in what
 * it has read. A comment takes a lock against that, and none against readers.
 */
function planViewLock({ oid, name }: MaterializedView): string {
  return `
  begin
    execute format('comment on materialized view %s is %L', ${literal(name)},
                   obj_description(${oid}, 'pg_class'));
  exception when lock_not_available then
    ${raiseLocked(literal(name), 'all')}
  end;`
}

/** Queues made since go first: without them the catalogue is what it was. */
function planQueues(queues: readonly string[] | undefined): string {
  if (queues === undefined) return ''
  return `
  for v_queue in
    select queue_name from pgmq.meta where lower(queue_name) <> all (${keptNames(queues)}) order by 1
  loop
    v_dropped := v_dropped || v_queue;
    if not p_only_look then
      ${DROP_QUEUE}
    end if;
  end loop;
  if p_only_look and v_dropped <> '{}' then
    return jsonb_build_object('isClean', false);
  end if;`
}

/** Those that PGMQ's list has lost are looked for only when the catalogue says that something is new. */
function planLostQueues(queues: readonly string[] | undefined): string {
  if (queues === undefined) return ''
  return `
    for v_queue in
      select queue from (${LOST_QUEUES_SQL}) as lost (queue)
       where queue <> all (${keptNames(queues)}) order by 1
    loop
      v_dropped := v_dropped || v_queue;
      v_signs_anew := true;
      ${DROP_QUEUE}
    end loop;`
}

function keptNames(queues: readonly string[]): string {
  return textArray(queues.map((queue) => queue.toLowerCase()))
}

const DROP_QUEUE = `foreach v_table in array array['q_', 'a_'] loop
        v_table := format('pgmq.%I', lower(v_table || v_queue));
        continue when to_regclass(v_table) is null;
        begin
          execute format('lock table %s in access exclusive mode nowait', v_table);
        exception when lock_not_available then
          ${raiseLocked('v_table', 'all')}
        end;
      end loop;
      perform pgmq.drop_queue(v_queue);`

/** The signs tell whether to look closer: only then every definition is compared. */
function planSchemaCheck({ tables, sequences, queues, parts }: Model): string {
  const known = [...tables, ...sequences]
  return `
  v_running := (${RUNNING_SQL});
${planStamps(parts.relations)}
  v_catalog_now := (${OBJECTS_SIGN_SQL});
  if v_catalog_sign is distinct from v_catalog_now
     or (${parts.hasCompositeTypes} or v_stamps is distinct from p_known_stamps)
        and v_parts_sign is distinct from (${PARTS_SIGN_SQL}) then
    -- Before the definitions are read: what changes in between shows the next time.
    v_parts_now := (${PARTS_SIGN_SQL});
    v_are_signs_new := true;${planLostQueues(queues)}
    select jsonb_agg(difference) into v_differences
      from (${differencesSql(queues !== undefined)}) as difference;
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

/** As long as it stays, no transaction that wrote anything has ended; its own is not among them. */
const RUNNING_SQL = `select concat(pg_snapshot_xmax(snapshot), ' ',
           array(select pg_snapshot_xip(snapshot))) from pg_current_snapshot() as snapshot`

/**
 * Where others have written while the reset did, what they did to the catalogue cannot be told from what
 * it did itself: then the next one compares every definition.
 */
const KEEP_SIGNS = `  if v_signs_anew then
    update provisioning.baseline
       set (catalog_sign, parts_sign) = (
             select (${OBJECTS_SIGN_SQL}), (${PARTS_SIGN_SQL})
              where v_running = (${RUNNING_SQL}));
  elsif v_are_signs_new then
    update provisioning.baseline set catalog_sign = v_catalog_now, parts_sign = v_parts_now;
  end if;`

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

/**
 * What is to be done with tables that are dirty, behind one question for many of them: in a database of a
 * thousand tables most are clean.
 */
function inCaseOfAny(
  groups: readonly (readonly TablePlan[])[],
  plan: (group: readonly TablePlan[]) => string,
): string {
  return inChunks(groups)
    .map((chunk) => {
      const numbers = chunk.flat().map(({ number }) => number)
      const body = chunk.map(plan).join('')
      const range = `${Math.min(...numbers)}:${Math.max(...numbers)}`
      return body === '' ? '' : `  if true = any (v_dirty[${range}]) then\n${body}  end if;\n`
    })
    .join('')
}

/** Up to here a table is asked for a row sooner than for its size. */
const MANY_TABLES = 200

function planLook(plans: readonly TablePlan[]): string {
  const oids = `'{${plans.map(({ table }) => table.oid).join(',')}}'::oid[]`
  const apart = plans.map((plan) => plan.look ?? '').join('')
  // Of many, most have not a single page, and so no row.
  const ask = plans.length > MANY_TABLES ? planLookBySize(plans, oids) : planLookAtOnce(plans)
  const { truncateFromBytes, askFromBytes } = LARGE
  return `${ask}${apart}
  v_large := array(
    select number from unnest(array_positions(v_dirty, true)) as number
     where case when pg_relation_size((${oids})[number]) < ${askFromBytes} then false
                else pg_table_size((${oids})[number]) >= ${truncateFromBytes} end);
${plans
  .filter(({ table }) => table.isPartitioned)
  .map(planLargePartitions)
  .join('')}`
}

/** From where on new files cost less than deleting row by row; and whether to ask for all of a table's files. */
const LARGE = { truncateFromBytes: 1024 * 1024, askFromBytes: 64 * 1024 }

function planLookAtOnce(plans: readonly TablePlan[]): string {
  return inChunks(plans)
    .map((chunk) => chunk.map((plan) => (plan.look === undefined ? plan.isDirty : 'false')))
    .map((asked) => `  v_dirty := v_dirty || array[${asked.join(',\n    ')}];\n`)
    .join('')
}

function planLookBySize(plans: readonly TablePlan[], oids: string): string {
  const isCertain = ({ table }: TablePlan) => table.hasRows || table.isPartitioned
  const ask = (plan: TablePlan) =>
    plan.look === undefined ? `${plan.flag} := ${plan.isDirty};` : ''
  const uncertain = plans.filter((plan) => !isCertain(plan)).map((plan) => [plan])
  return `
  select array_agg(pg_relation_size(oid) > 0 order by number) into v_dirty
    from unnest(${oids}) with ordinality as relation (oid, number);
${inCaseOfAny(uncertain, ([plan]) => (plan ? `  if ${plan.flag} then ${ask(plan)} end if;\n` : ''))}
${plans.filter(isCertain).map(ask).join('\n')}`
}

function planLargePartitions({ table, number, flag }: TablePlan): string {
  return `  if ${flag} and ${LARGE.truncateFromBytes} <=
      (select sum(pg_relation_size(relid)) from pg_partition_tree(${table.oid})) then
    v_large := v_large || ${number};
  end if;\n`
}

/** What was written may yet be what it was; a reset would put it back all the same. */
function planCloserLook({ table, flag, differs }: TablePlan): string {
  return table.hasRows ? `    if ${flag} then ${flag} := ${differs}; end if;\n` : ''
}

/** Rows that are put back as a whole take along the rows that refer to them, and a circle its members. */
function planSpread(group: readonly TablePlan[], planOf: PlanOf, { foreignKeys }: Model): string {
  const names = new Set(group.map((plan) => plan.table.name))
  const parents = foreignKeys
    .filter(({ child, parent }) => names.has(child) && !names.has(parent))
    .map(({ parent }) => planOf.get(parent))
    .filter((plan) => plan?.table.hasRows && group.some(({ table }) => table.hasRows))
  const flags = group.map((plan) => plan.flag)
  const sources = new Set([...flags, ...parents.map((plan) => plan?.flag)])
  if (sources.size === 1) return ''
  return `  if ${[...sources].join(' or ')} then
    ${flags.map((flag) => `${flag} := true;`).join(' ')}
  end if;\n`
}

/** Truncates what is large, together with all that refers to it, where no reader is in the way. */
function planTruncate(plans: readonly TablePlan[], planOf: PlanOf, { foreignKeys }: Model): string {
  const truncations = plans.map((plan) => {
    const referrers = withReferrers(plan.table.name, foreignKeys).map((name) => planOf.get(name))
    // Of one that is not to be emptied by itself, rows would go or triggers fire that have to stay.
    const conditions = referrers
      .filter((other) => other !== plan && (other?.table.hasRows || other?.table.triggers.length))
      .map((other) => other?.flag)
    return {
      // Tables that inherit from one of these are tables of their own.
      list: referrers.map((other) => other?.source).join(', '),
      condition: conditions.join(' and ') || 'true',
    }
  })
  return `
  foreach v_number in array v_large loop
    continue when not (array[${truncations.map(({ condition }) => condition).join(', ')}])[v_number];
    v_table := (${textArray(truncations.map(({ list }) => list))})[v_number];
    begin
      execute format('lock table %s in access exclusive mode nowait', v_table);
      execute format('truncate %s', v_table);
      v_signs_anew := true;
    exception when lock_not_available or insufficient_privilege then
      -- Deleted below.
    end;
  end loop;`
}

/** Empties a circle of tables in one statement: keys that cannot be deferred are checked after it. */
function planEmpty(group: readonly TablePlan[]): string {
  const deletes = group.map((plan) => `delete from ${plan.source}`)
  return `  if ${group[0]?.flag} then\n    ${inOneStatement(deletes)};\n  end if;\n`
}

function planRefill(group: readonly TablePlan[], searchPath: string): string {
  const filled = group.filter((plan) => plan.refill !== undefined)
  if (filled.length === 0) return ''
  const signs = filled.map((plan) => plan.sign).join('')
  return `  if ${group[0]?.flag} then
    perform set_config('search_path', ${literal(searchPath)}, true);
    ${inOneStatement(filled.map((plan) => plan.refill ?? ''))};
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
${signs}  end if;\n`
}

function inOneStatement(statements: readonly string[]): string {
  const parts = statements.slice(0, -1).map((sql, index) => `part_${index} as (${sql})`)
  return `${parts.length > 0 ? `with ${parts.join(', ')} ` : ''}${statements.at(-1)}`
}

/** So many are named by one statement: a change of any one of them makes its plan anew. */
const CHUNK_SIZE = 16

function inChunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / CHUNK_SIZE)
  return Array.from({ length: count }, (_, n) => items.slice(n * CHUNK_SIZE, (n + 1) * CHUNK_SIZE))
}
