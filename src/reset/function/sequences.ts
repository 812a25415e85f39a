import type { BaselineSequence } from '../../baseline/schema.ts'
import { literal } from '../../postgres/quote.ts'
import { explain, sql } from '../../postgres/sql-text.ts'
import { raiseBlocked, SHORT_WAIT } from './blocked.ts'
import type { NumberedSchema } from './numbered.ts'

/** Fills v_used_sequences: the numbers of the sequences whose value is not that of the baseline. */
export function detectUsedSequences({ sequences, hasSequenceData }: NumberedSchema): string {
  if (sequences.length === 0) return ''
  return hasSequenceData ? READ_BY_FUNCTION : readByQuery(sequences)
}

const READ_BY_FUNCTION = sql`
  -- Has the sequence another value than in the baseline? Without \`offset 0\`, each would be read twice.
  v_used_sequences := array(
    select number
      from (
        select number, pg_get_sequence_data(oid) as now, last_value, is_called
          from unnest(c_sequence_oids, c_sequence_values, c_sequence_is_called)
               with ordinality as baseline (oid, last_value, is_called, number)
        offset 0
      ) as sequence
     where (now).last_value is distinct from sequence.last_value
        or (now).is_called is distinct from sequence.is_called
     order by number);`

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
  return sql`
    perform setval(c_sequence_oids[number], c_sequence_values[number], c_sequence_is_called[number])
       from unnest(v_used_sequences) as number;`
}
