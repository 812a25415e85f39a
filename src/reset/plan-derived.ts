import { rowsSignSql } from './catalog.ts'
import { literal, textArray } from './literal.ts'
import type { MaterializedView, Sequence } from './model.ts'
import { RESET_STATE } from './reset-state.ts'

/** Materialised views are brought back by a refresh, once the rows below them are back. */
export function planMaterializedViews(views: readonly MaterializedView[]) {
  const flags = views.map((_, index) => `m${index + 1}`)
  return {
    declarations: flags.map((flag) => `  ${flag} boolean := false;`).join('\n'),
    isAnyDirty: flags.join(' or ') || 'false',
    look: views.map((view, index) => planLook(view, flags[index] ?? '')).join(''),
    refresh: views.map((view, index) => planRefresh(view, flags[index] ?? '')).join(''),
  }
}

function planLook({ name, isPopulated }: MaterializedView, flag: string): string {
  const differs = `
    ${flag} := (select rows_sign from provisioning.baseline_relation where name = ${literal(name)})
               is distinct from (${rowsSignSql(name)});`
  return `
  if (select relispopulated from pg_class where oid = ${literal(name)}::regclass) <> ${isPopulated} then
    ${flag} := true;
  ${isPopulated ? `else${differs}` : ''}
  end if;`
}

function planRefresh({ name, isPopulated }: MaterializedView, flag: string): string {
  const sign = isPopulated ? `(${rowsSignSql(name)})` : 'null'
  return `
  if ${flag} then
    begin
      -- There is no refresh that takes its lock at once or not at all.
      perform set_config('lock_timeout', '20ms', true);
      refresh materialized view ${name}${isPopulated ? '' : ' with no data'};
    exception when lock_not_available then
      raise exception 'locked'
        using errcode = '${RESET_STATE.locked}', detail = ${literal(name)}, hint = 'all';
    end;
    v_signs_anew := true;
    update provisioning.baseline_relation set rows_sign = ${sign} where name = ${literal(name)};
  end if;`
}

/**
 * `setval` is cheap and not transactional, so it is what a reset does last. Where sessions cache
 * values they go on with them after it, so there the sequence is restarted first.
 */
export function planSequences(sequences: readonly Sequence[]) {
  if (sequences.length === 0) return { look: '', restart: '', set: '', names: `'{}'::text[]` }
  const looks = sequences.map(
    ({ name, lastValue, isCalled }, index) =>
      `select ${index + 1} from ${name} where last_value <> ${lastValue} or is_called <> ${isCalled}`,
  )
  const restarts = sequences.map(({ name, cacheSize }, index) =>
    cacheSize > 1 ? planRestart(name, index + 1) : '',
  )
  const oids = sequences.map(({ oid }) => oid).join(',')
  const values = sequences.map(({ lastValue }) => lastValue).join(',')
  const calls = sequences.map(({ isCalled }) => isCalled).join(',')
  return {
    look: `
  select coalesce(array_agg(number order by number), '{}') into v_sequences
    from (${looks.join('\n    union all ')}) as used (number);`,
    restart: restarts.join(''),
    set: `
  perform setval(('{${oids}}'::oid[])[number], ('{${values}}'::int8[])[number],
                 ('{${calls}}'::bool[])[number])
     from unnest(v_sequences) as number;`,
    names: `(select coalesce(jsonb_agg((${textArray(sequences.map(({ name }) => name))})[number]), '[]')
        from unnest(v_sequences) as number)`,
  }
}

function planRestart(name: string, number: number): string {
  return `
  if ${number} = any (v_sequences) then
    begin
      perform set_config('lock_timeout', '20ms', true);
      alter sequence ${name} restart;
    exception when lock_not_available then
      raise exception 'locked'
        using errcode = '${RESET_STATE.locked}', detail = ${literal(name)}, hint = 'all';
    end;
    v_signs_anew := true;
  end if;`
}
