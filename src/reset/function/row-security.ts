import { explain, lines, sql } from '../../postgres/sql-text.ts'
import { lockAtOnce } from './blocked.ts'
import { hasOtherRows } from './detect.ts'
import type { NumberedTable } from './numbered.ts'

/**
 * Fills v_dirty for the tables whose rows row security hides from the owner, too. Nothing else shows
 * them: a delete, for one, would leave them where they are without an error.
 */
export function detectHiddenRows(tables: readonly NumberedTable[]): string {
  const hidden = tables.filter(({ isRowSecurityActive }) => isRowSecurityActive)
  if (hidden.length === 0) return ''
  return explain(
    'Row security hides rows from this role as well: lift it in order to see them.',
    ...hidden.map(detectHidden),
  )
}

function detectHidden(table: NumberedTable): string {
  const lift = sql`
    ${lockAtOnce(table.name)}
    alter table ${table.name} no force row level security;
    v_wrote_catalog := true;
    v_unforced := v_unforced || ${table.number};
    ${table.isDirty} := ${hasOtherRows(table)};`
  // The pages of a partitioned table are those of its partitions.
  if (table.hasRows || table.isPartitioned) return lift
  return sql`
    if pg_relation_size(${table.oid}) > 0 then
      ${lift}
    end if;`
}

/** Forces row security again where it was lifted. */
export function forceRowSecurity(tables: readonly NumberedTable[]): string {
  return lines(
    ...tables
      .filter(({ isRowSecurityActive }) => isRowSecurityActive)
      .map(
        ({ name, number }) => sql`
          if ${number} = any (v_unforced) then
            alter table ${name} force row level security;
          end if;`,
      ),
  )
}
