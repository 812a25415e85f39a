import { type Baseline, LAST_MIGRATION_SQL } from './baseline.ts'
import { CATALOG_SIGN_SQL, differencesSql } from './catalog.ts'
import { groupTables, withReferrers } from './foreign-keys.ts'
import { IS_DISPOSABLE_SQL } from './guard.ts'
import { literal, textArray } from './literal.ts'
import { LOST_QUEUES_SQL, type Model, queueTablesOf, type Table } from './model.ts'
import { planMaterializedViews, planSequences } from './plan-derived.ts'
import { planTable, type TablePlan } from './plan-table.ts'
import { RESET_STATE } from './reset-state.ts'

export interface PlanOptions {
  readonly baseline: Baseline
  readonly model: Model
  /** How long to wait while holding locks: below deadlock_timeout, so that nobody is shot. */
  readonly giveWayMs: number
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
  const groups = groupTables(
    model.tables.map((table) => table.name),
    model.foreignKeys,
  )
  const plans = planTables(model)
  const parentsFirst = groups.map((group) => group.map((name) => plans.get(name) as TablePlan))
  const childrenFirst = parentsFirst.toReversed()
  const tables = [...plans.values()]
  const views = planMaterializedViews(model.materializedViews)
  const sequences = planSequences(model.sequences)

  return `
create or replace function pg_temp.reset_data(p_first text, p_patience_ms int, p_only_look boolean)
returns jsonb
language plpgsql
as $reset$
declare
  v_deadline  timestamptz;
  v_table     text;
  v_queue     text;
  v_number    int;
  v_pages     bigint[];
  v_large     int[]  := '{}';
  v_emptied   text[] := '{}';
  v_restored  text[] := '{}';
  v_queues    text[] := '{}';
  v_dropped   text[] := '{}';
  v_sequences int[]  := '{}';
  v_differences jsonb;
  -- The catalogue was written to: the sign has to be taken anew.
  v_signs_anew boolean := false;
${tables.map((table) => `  ${table.flag} boolean := false;`).join('\n')}
${views.declarations}
begin
${planLocks(options)}
${planQueues(model.queues)}
${planSchemaCheck(model)}
  -- Look.
${planSizes(model.tables)}
${tables.map((table) => table.look).join('\n')}
${parentsFirst.map((group) => planSpread(group, model)).join('')}
${sequences.look}
${views.look}
  if p_only_look then
    return jsonb_build_object('isClean', v_emptied = '{}' and v_restored = '{}' and v_queues = '{}'
                                         and v_sequences = '{}' and not (${views.isAnyDirty}));
  end if;

  -- Change.
${model.foreignKeys.some((key) => key.isDeferrable) ? '  set constraints all deferred;' : ''}
${tables.map((table) => table.disable).join('')}
${planTruncate(tables, model)}
${childrenFirst.map((group) => planEmpty(group)).join('')}
${parentsFirst.map((group) => planRefill(group)).join('')}
  set constraints all immediate;
${views.refresh}
${tables.map((table) => table.enable).join('')}
${sequences.restart}
  if v_signs_anew then
    update provisioning.baseline set catalog_sign = (${CATALOG_SIGN_SQL});
  end if;
${sequences.set}
  return jsonb_build_object(
    'tables', jsonb_build_object('emptied', v_emptied, 'restored', v_restored),
    'sequences', ${sequences.names},
    'queues', jsonb_build_object(
      'emptied', array(select distinct queue from unnest(v_queues) as queue order by queue),
      'dropped', v_dropped));
end;
$reset$`
}

function planTables(model: Model): Map<string, TablePlan> {
  const queueOf = new Map(
    (model.queues ?? []).flatMap((queue) => queueTablesOf(queue).map((table) => [table, queue])),
  )
  return new Map(
    model.tables.map((table, index) => [
      table.name,
      planTable(table, index + 1, queueOf.get(table.name)),
    ]),
  )
}

/** Consent first, then every table; only plain readers go on beside an exclusive lock. */
function planLocks({ baseline, model, giveWayMs }: PlanOptions): string {
  const names = model.tables.map((table) => table.name)
  return `
  -- The table that was in the way is waited for while nothing else is held: long enough for PostgreSQL
  -- to end an autovacuum on it, but not for ever, since writers stand in line behind.
  if p_first is not null then
    perform set_config('lock_timeout', least(p_patience_ms, ${giveWayMs * 4})::text, true);
    begin
      execute format('lock table %s in exclusive mode', p_first);
    exception when lock_not_available then
      raise exception 'locked' using errcode = '${RESET_STATE.locked}', detail = p_first, hint = '';
    end;
  end if;

  v_deadline := clock_timestamp() + make_interval(secs => least(p_patience_ms, ${giveWayMs}) / 1000.0);
  v_table := 'provisioning.disposable';
  begin
    perform set_config('lock_timeout', least(p_patience_ms, ${giveWayMs})::text, true);
    lock table provisioning.disposable in share row exclusive mode;
    if not ${IS_DISPOSABLE_SQL} then
      raise exception 'not disposable' using errcode = '${RESET_STATE.notDisposable}';
    end if;
    if not exists (select from provisioning.baseline
                    where baseline_id = ${baseline.id}
                      and last_migration = (${LAST_MIGRATION_SQL})) then
      raise exception 'no baseline' using errcode = '${RESET_STATE.noBaseline}';
    end if;
    begin
      ${names.length > 0 ? `lock table ${names.join(', ')} in exclusive mode nowait;` : ''}
    exception when lock_not_available then
      foreach v_table in array ${textArray(names)} loop
        perform set_config('lock_timeout', greatest(1, ceil(1000 * extract(epoch from
          v_deadline - clock_timestamp())))::text, true);
        execute format('lock table %s in exclusive mode', v_table);
      end loop;
    end;
  exception when lock_not_available then
    raise exception 'locked' using errcode = '${RESET_STATE.locked}', detail = v_table, hint = '';
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
          raise exception 'locked' using errcode = '${RESET_STATE.locked}', detail = v_table, hint = 'all';
        end;
      end loop;
      perform pgmq.drop_queue(v_queue);`

/** The sign tells whether to look closer: only then every definition is compared. */
function planSchemaCheck({ tables, sequences, queues }: Model): string {
  const known = [...tables, ...sequences]
  return `
  if (${CATALOG_SIGN_SQL}) is distinct from (select catalog_sign from provisioning.baseline) then${planLostQueues(queues)}
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
    v_signs_anew := true;
  end if;
`
}

/** A table without a page has no row: one query spares most tables theirs. */
function planSizes(tables: readonly Table[]): string {
  const oids = tables.map((table) => table.oid).join(',')
  return `
  select array_agg(pg_relation_size(oid) order by number) into v_pages
    from unnest('{${oids}}'::oid[]) with ordinality as relation (oid, number);`
}

/** Rows that are put back as a whole take along the rows that refer to them, and a circle its members. */
function planSpread(group: readonly TablePlan[], model: Model): string {
  const names = new Set(group.map((plan) => plan.table.name))
  const refilled = new Map(
    model.tables.filter((table) => table.hasRows).map((table, _) => [table.name, table]),
  )
  const parents = model.foreignKeys
    .filter(({ child, parent }) => names.has(child) && !names.has(parent) && refilled.has(parent))
    .map(({ parent }) => `f${model.tables.findIndex((table) => table.name === parent) + 1}`)
  const sources = [...new Set([...group.map((plan) => plan.flag), ...parents])]
  const needed =
    group.length > 1 || (parents.length > 0 && group.some((plan) => plan.table.hasRows))
  if (!needed && !group.some((plan) => plan.table.hasRows)) return ''
  const any = sources.join(' or ')
  const assignments = group
    .filter((plan) => sources.length > 1 || plan.table.hasRows)
    .map((plan) => {
      const report = plan.table.hasRows
        ? ` if ${plan.flag} then v_restored := array_append(v_restored, ${literal(plan.table.name)}); end if;`
        : ''
      return `  ${sources.length > 1 ? `${plan.flag} := ${any};` : ''}${report}\n`
    })
  return assignments.join('')
}

/** Truncates what is large, together with all that refers to it, where no reader is in the way. */
function planTruncate(tables: readonly TablePlan[], model: Model): string {
  const byName = new Map(tables.map((plan) => [plan.table.name, plan]))
  const lists = tables.map((plan) => {
    const referrers = withReferrers(plan.table.name, model.foreignKeys)
    const isSafe = referrers.every((name) => {
      const other = byName.get(name)?.table
      return name === plan.table.name || (other?.hasRows === false && other.triggers.length === 0)
    })
    // Tables that inherit from one of these are tables of their own.
    return isSafe ? referrers.map((name) => byName.get(name)?.source).join(', ') : ''
  })
  return `
  foreach v_number in array v_large loop
    v_table := (${textArray(lists)})[v_number];
    continue when v_table = '';
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

function planRefill(group: readonly TablePlan[]): string {
  const filled = group.filter((plan) => plan.refill !== undefined)
  if (filled.length === 0) return ''
  const signs = filled.map((plan) => plan.sign).join('')
  return `  if ${group[0]?.flag} then
    ${inOneStatement(filled.map((plan) => plan.refill ?? ''))};
${signs}  end if;\n`
}

function inOneStatement(statements: readonly string[]): string {
  const parts = statements.slice(0, -1).map((sql, index) => `part_${index} as (${sql})`)
  return `${parts.length > 0 ? `with ${parts.join(', ')} ` : ''}${statements.at(-1)}`
}
