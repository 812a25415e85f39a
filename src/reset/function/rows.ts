import { rowsFingerprintSql } from '../../catalog/fingerprint.ts'
import { literal } from '../../postgres/quote.ts'
import { explain, lines, sql } from '../../postgres/sql-text.ts'
import { forEachGroup } from './chunks.ts'
import type { NumberedSchema, NumberedTable } from './numbered.ts'

type Group = readonly NumberedTable[]

/**
 * Adds to v_restore the tables that a foreign key ties to those in it: all rows of a table are deleted
 * and inserted, so the rows that refer to them have to go, too.
 */
export function restoreReferrers({ groups, tableOf, foreignKeys }: NumberedSchema): string {
  const parentsOf = (group: Group) => {
    const names = group.map(({ name }) => name)
    return foreignKeys
      .filter(({ child, parent }) => names.includes(child) && !names.includes(parent))
      .flatMap(({ parent }) => tableOf.get(parent) ?? [])
  }
  const referrers = forEachGroup('v_restore', groups, (group) => {
    // Rows of the baseline refer to rows of the baseline only. What refers to a table is truncated with it.
    const isFilled = group.some(({ hasRows }) => hasRows)
    const parents = parentsOf(group).filter(
      ({ hasRows, refusesDeletes }) => (isFilled && hasRows) || refusesDeletes,
    )
    const members = group.map(({ isToRestore }) => isToRestore)
    const causes = [...new Set([...members, ...parents.map(({ isToRestore }) => isToRestore)])]
    if (causes.length === 1) return ''
    return sql`
      if ${causes.join(' or ')} then
        ${lines(...members.map((member) => `${member} := true;`))}
      end if;`
  })
  return explain(
    'All rows of a dirty table are deleted and inserted. That takes the rows along that refer ' +
      'to them: those of tables with a foreign key to it, and of all tables in a circle of ' +
      'foreign keys.',
    'v_restore := v_dirty;',
    referrers,
  )
}

/** Deletes all rows of the tables to restore. */
export function deleteRows({ groups }: NumberedSchema): string {
  const statements = forEachGroup('v_restore', groups.toReversed(), (group) => {
    const deletes = group
      .filter(({ refusesDeletes }) => !refusesDeletes)
      .map(({ source }) => `delete from ${source}`)
    if (deletes.length === 0) return ''
    return ifToRestore(group, `${inOneStatement(deletes)};`)
  })
  return explain(
    'Delete, children before their parents. The foreign keys of a circle are checked at the end ' +
      'of the one statement that empties all its tables.',
    statements,
  )
}

/** Inserts the rows of the baseline. */
export function insertRows({ groups }: NumberedSchema, searchPath: string): string {
  const statements = forEachGroup('v_restore', groups, (group) => {
    const filled = group.filter(({ hasRows }) => hasRows)
    if (filled.length === 0) return ''
    return ifToRestore(
      group,
      sql`
        v_ignored := set_config('search_path', ${literal(searchPath)}, true);
        ${inOneStatement(filled.map(insertInto))};
        v_ignored := pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        ${lines(...filled.map(keepFingerprint))}`,
    )
  })
  return explain(
    'Insert, parents before their children, with the search path of the role: constraints and ' +
      'generated columns may call functions that depend on it.',
    statements,
  )
}

function insertInto({ name, columns }: NumberedTable): string {
  if (columns.length === 0) {
    return sql`
      insert into ${name}
      select from provisioning.baseline_row where name = ${literal(name)}`
  }
  // Without `offset 0` the text would be converted once for each column instead of once for each row.
  return sql`
    insert into ${name} (${columns.join(', ')}) overriding system value
    select ${columns.map((column) => `(stored.whole_row).${column}`).join(', ')}
      from (
        select content::${name} as whole_row
          from provisioning.baseline_row
         where name = ${literal(name)}
         order by position
        offset 0
      ) as stored`
}

function keepFingerprint({ name, source }: NumberedTable): string {
  return sql`
    update provisioning.baseline_relation
       set rows_fingerprint = (
             ${rowsFingerprintSql(source)})
     where name = ${literal(name)};`
}

/** All members of a circle have the same flag by now. */
function ifToRestore([first]: Group, statements: string): string {
  return sql`
    if ${first?.isToRestore ?? false} then
      ${statements}
    end if;`
}

/** One statement for a circle of tables: foreign keys that cannot be deferred are checked at its end. */
function inOneStatement(statements: readonly string[]): string {
  const before = statements.slice(0, -1).map(
    (statement, index) => sql`
      part_${index + 1} as (
        ${statement}
      )`,
  )
  return lines(before.length > 0 ? `with ${before.join(', ')}` : '', statements.at(-1) ?? '')
}
