import type { BaselineSequence } from '../../baseline/schema.ts'
import { literal } from '../../postgres/quote.ts'
import { explain, sql } from '../../postgres/sql-text.ts'
import { raiseBlocked, SHORT_WAIT } from './blocked.ts'
import type { NumberedSchema } from './numbered.ts'

/** Fills v_used_sequences: the numbers of the sequences whose value is not that of the baseline. */
export function detectUsedSequences({ sequences, hasSequenceData }: NumberedSchema): string {
  if (sequences.length === 0) return ''
  return hasSequenceData ? readByFunction(sequences) : readByQuery(sequences)
}

/** An expression without a query, which PL/pgSQL evaluates by itself: a third of what a query over all takes. */
function readByFunction(sequences: readonly BaselineSequence[]): string {
  const expressions = sequences.map(
    ({ oid, lastValue, isCalled }, index) =>
      `/* ${index + 1} */ not starts_with(pg_get_sequence_data(${oid})::text, '(${lastValue},${isCalled ? 't' : 'f'}')`,
  )
  return sql`
    -- Has the sequence another value than in the baseline? Its data are (last_value,is_called).
    v_used_sequences := array_positions(array[
      ${expressions.join(',\n')}
    ], true);`
}

function readByQuery(sequences: readonly BaselineSequence[]): string {
  const queries = sequences.map(
    ({ name, lastValue, isCalled }, index) => sql`
      select ${index + 1}
        from ${name}
       where last_value <> ${lastValue} or is_called <> ${isCalled}`,
  )
  return sql`
    -- Has the sequence another value than in the baseline?
    v_used_sequences := array(
      ${queries.join('\nunion all\n')}
      order by 1);`
}

/** Restarts the used sequences that sessions cache values of; a `setval`, which is cheaper, does for all others. */
export function restartCachedSequences({ sequences }: NumberedSchema): string {
  return explain(
    'Sessions go on with the values that they have cached after a setval, but not after a ' +
      'restart.',
    ...sequences.map(({ name, isCached }, index) => (isCached ? restart(name, index + 1) : '')),
  )
}

function restart(name: string, number: number): string {
  return sql`
    if ${number} = any (v_used_sequences) then
      begin
        perform set_config('lock_timeout', '${SHORT_WAIT}', true);
        alter sequence ${name} restart;
      exception when lock_not_available then
        ${raiseBlocked(literal(name), 'reader')}
      end;
      v_wrote_catalog := true;
    end if;`
}

/** Sets the used sequences. It is not undone by a rollback, so it is the last thing that a reset does. */
export function setSequences({ sequences }: NumberedSchema): string {
  if (sequences.length === 0) return ''
  const array = (items: readonly unknown[]) => `'{${items.join(',')}}'`
  return sql`
    perform setval(oid, last_value, is_called)
       from unnest(
              c_sequence_oids,
              ${array(sequences.map(({ lastValue }) => lastValue))}::int8[],
              ${array(sequences.map(({ isCalled }) => (isCalled ? 't' : 'f')))}::bool[]
            ) with ordinality as baseline (oid, last_value, is_called, number)
      where number = any (v_used_sequences);`
}
