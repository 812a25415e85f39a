import { withReferrers } from '../../catalog/foreign-keys.ts'
import { literal } from '../../postgres/quote.ts'
import { lines, sql } from '../../postgres/sql-text.ts'
import { SQLSTATE } from '../../postgres/sqlstate.ts'
import { raiseBlocked } from './blocked.ts'
import type { NumberedSchema, NumberedTable } from './numbered.ts'

/** Truncates the large tables, each together with all tables that refer to it, unless a reader blocks it. */
export function truncateLargeTables(schema: NumberedSchema): string {
  if (schema.tables.length === 0) return ''
  const truncations = schema.tables.map((table) => planTruncate(table, schema))
  const conditions = truncations.filter(({ condition }) => condition !== '')
  const undeletable = schema.tables.filter(({ refusesDeletes }) => refusesDeletes)
  const lists = truncations.filter(({ table, list }) => list !== `only ${table.name}`)
  return sql`
    -- Truncate what is large, unless a reader blocks it, this role may not, or a table that is left alone
    -- refers to it. PostgreSQL truncates a table
    -- only together with all tables that refer to it. So leave it if one of these is clean and has rows,
    -- which would be lost, or triggers, which would fire.
    foreach v_number in array v_large loop
      ${
        conditions.length === 0
          ? ''
          : sql`
            continue when not case v_number
              ${lines(...conditions.map(({ table, condition }) => `when ${table.number} then ${condition}`))}
              else true
            end;`
      }
      v_relation := ${
        lists.length === 0
          ? `'only ' || c_table_names[v_number]`
          : sql`
            case v_number
              ${lines(...lists.map(({ table, list }) => `when ${table.number} then ${literal(list)}`))}
              else 'only ' || c_table_names[v_number]
            end`
      };
      begin
        execute format('lock table %s in access exclusive mode nowait', v_relation);
        execute format('truncate %s', v_relation);
        v_wrote_catalog := true;
      exception when lock_not_available or insufficient_privilege or feature_not_supported then
        -- The rows are deleted below.
        ${undeletable.length === 0 ? '' : refuseToDelete(undeletable)}
      end;
    end loop;`
}

/** For tables of which nothing can be deleted. */
function refuseToDelete(tables: readonly NumberedTable[]): string {
  return sql`
    if v_number = any ('{${tables.map(({ number }) => number).join(',')}}'::int[]) then
      if sqlstate = '${SQLSTATE.lockNotAvailable}' then
        ${raiseBlocked('c_table_names[v_number]', 'reader')}
      end if;
      raise;
    end if;`
}

/** What is truncated together with a table, and the condition for it; an empty one is always true. */
function planTruncate(table: NumberedTable, { tableOf, foreignKeys }: NumberedSchema) {
  const names = withReferrers(table.name, foreignKeys)
  const together = names.flatMap((name) => tableOf.get(name) ?? [])
  return {
    table,
    // With `only`: a table that inherits from one of these is a table of its own.
    list: together.map(({ source }) => source).join(', '),
    condition: together
      .filter((one) => one !== table && (one.hasRows || one.triggers.length > 0))
      .map(({ isToRestore }) => isToRestore)
      .join(' and '),
  }
}
