import { literal } from './literal.ts'
import type { Queryable } from './store.ts'

interface OwnedSequence {
  readonly sequence: string
  readonly column: string
  readonly table: string
  readonly increment: number
}

/**
 * Says whether a reset that broke off has put a sequence back without the rows: it stands where the
 * baseline has it, and its table holds values beyond, in rows that the baseline does not have.
 */
export async function hasLowSequences(client: Queryable): Promise<boolean> {
  const { rows: owned } = await client.query<OwnedSequence>(
    `select name as sequence, quote_ident(attname) as column, attrelid::regclass::text as table,
            sign(seqincrement)::int as increment
       from provisioning.baseline_sequence
       join pg_sequence on seqrelid = to_regclass(name)
       join pg_depend on classid = 'pg_class'::regclass and objid = seqrelid
                     and refclassid = 'pg_class'::regclass and deptype in ('a', 'i')
       join pg_attribute on attrelid = refobjid and attnum = refobjsubid`,
  )
  for (const one of owned) {
    const beyond = one.increment > 0 ? '>' : '<'
    const { rows } = await client.query<{ low: boolean }>(
      `select exists (
         select from ${one.sequence} as sequence
           join provisioning.baseline_sequence as baseline using (last_value, is_called)
           join ${one.table} as tabled
             on tabled.${one.column} ${beyond} last_value - (not is_called)::int * ${one.increment}
          where baseline.name = ${literal(one.sequence)}
            and not exists (select from provisioning.baseline_row
                             where name = ${literal(one.table)} and content = tabled::text)) as low`,
    )
    if (rows[0]?.low) return true
  }
  return false
}
