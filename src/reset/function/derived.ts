import type { BaselineSchema } from '../../baseline/schema.ts'
import { rowsFingerprintSql } from '../../catalog/fingerprint.ts'
import type { MaterializedView } from '../../catalog/tables.ts'
import { literal } from '../../postgres/quote.ts'
import { raiseLocked } from './blocked.ts'

/** Materialised views are brought back by a refresh, once the rows below them are back. */
export function planMaterializedView(
  view: MaterializedView,
  { number, rowsSign }: { readonly number: number; readonly rowsSign: string },
) {
  const { name, oid, isPopulated } = view
  const flag = `v_stale[${number}]`
  const sign = isPopulated ? `(${rowsFingerprintSql(name)})` : 'null'
  return {
    // Apart, since one that is not populated cannot even be asked for its rows.
    look: `
  ${flag} := (select relispopulated from pg_class where oid = ${oid}) <> ${isPopulated};${
    isPopulated
      ? `
  if not ${flag} then ${flag} := ${sign} is distinct from ${rowsSign}; end if;`
      : ''
  }`,
    refresh: `
  if ${flag} then
    begin
      -- There is no refresh that takes its lock at once or not at all.
      perform set_config('lock_timeout', '20ms', true);
      refresh materialized view ${name}${isPopulated ? '' : ' with no data'};
    exception when lock_not_available then
      ${raiseLocked(literal(name), 'all')}
    end;
    v_signs_anew := true;
    update provisioning.baseline_relation set rows_fingerprint = ${sign} where name = ${literal(name)};
  end if;`,
  }
}

/** How the sequences are looked at and put back. */
export interface SequencesPlan {
  /** Fills `v_sequences` with the numbers, counted from 1, of those that were used. */
  readonly look: string
  readonly restart: string
  readonly set: string
}

/**
 * `setval` is cheap and not transactional, so it is what a reset does last. Where sessions cache
 * values they go on with them after it, so there the sequence is restarted first.
 */
export function planSequences({ sequences, hasSequenceData }: BaselineSchema): SequencesPlan {
  if (sequences.length === 0) return { look: '', restart: '', set: '' }
  const oids = `'{${sequences.map(({ oid }) => oid).join(',')}}'::oid[]`
  const values = `'{${sequences.map(({ lastValue }) => lastValue).join(',')}}'::int8[]`
  const calls = `'{${sequences.map(({ isCalled }) => isCalled).join(',')}}'::bool[]`
  const used = hasSequenceData
    ? `select number
         -- \`offset 0\`: each is read once, not once for each of its two values.
         from (select pg_get_sequence_data(oid) as now, value, called, number
                 from unnest(${oids}, ${values}, ${calls})
                      with ordinality as kept (oid, value, called, number) offset 0) as read
        where (now).last_value is distinct from value or (now).is_called is distinct from called`
    : sequences
        .map(
          ({ name, lastValue, isCalled }, index) =>
            `select ${index + 1} from ${name}
              where last_value <> ${lastValue} or is_called <> ${isCalled}`,
        )
        .join('\n    union all ')
  return {
    look: `
  select coalesce(array_agg(number order by number), '{}') into v_sequences
    from (${used}) as used (number);`,
    restart: sequences
      .map(({ name, isCached }, index) => (isCached ? planRestart(name, index + 1) : ''))
      .join(''),
    set: `
    perform setval((${oids})[number], (${values})[number], (${calls})[number])
       from unnest(v_sequences) as number;`,
  }
}

function planRestart(name: string, number: number): string {
  return `
  if ${number} = any (v_sequences) then
    begin
      perform set_config('lock_timeout', '20ms', true);
      alter sequence ${name} restart;
    exception when lock_not_available then
      ${raiseLocked(literal(name), 'all')}
    end;
    v_signs_anew := true;
  end if;`
}
