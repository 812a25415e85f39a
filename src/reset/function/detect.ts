import { rowsFingerprintSql } from '../../catalog/fingerprint.ts'
import { literal } from '../../postgres/quote.ts'
import { explain, lines, sql } from '../../postgres/sql-text.ts'
import { forEachTable, inChunks } from './chunks.ts'
import type { NumberedSchema, NumberedTable, ReadOnlyTable } from './numbered.ts'

/** Up to this many tables, looking for a row in each is faster than asking for their sizes first. */
const MANY_TABLES = 200

/** From this size on, the new files of a truncate cost less than deleting row by row. */
const TRUNCATE_FROM_BYTES = 1024 * 1024

/** From this size of a table's main file on, the file of its large values is measured, too. */
const MEASURE_FROM_BYTES = 64 * 1024

/**
 * Fills v_dirty: by table, whether its rows differ from the baseline; and v_plan_ids: by statement, a value
 * that changes if one of the relations that it names may have been altered (see pg_temp.new_plan_id).
 */
export function detectDirtyTables({ tables, parts }: NumberedSchema): string {
  const start = sql`
    v_plan_ids := '{}';
    v_dirty := '{}';`
  if (tables.length > MANY_TABLES) {
    return lines(start, readPlanIds(parts.relations), detectBySize(tables))
  }
  const read = new Set(tables.filter(isRead).map(({ name }) => name))
  return lines(
    start,
    readPlanIds(parts.relations.filter((name) => !read.has(name))),
    detectByRows(tables),
  )
}

/** Row security would hide the rows. */
const isRead = ({ isRowSecurityActive }: NumberedTable) => !isRowSecurityActive

/** One plan id for a number of relations, which are named for that and never read. */
function readPlanIds(relations: readonly string[]): string {
  const queries = inChunks(relations).map(
    (names) => sql`
      select pg_temp.new_plan_id() into v_plan_id
       where true
          ${names.map((name) => `or exists (select from ${name})`).join('\n')};
      v_plan_ids := v_plan_ids || v_plan_id;`,
  )
  return explain(
    'These relations are only named, for the sake of the plan id: `true or` spares reading them.',
    ...queries,
  )
}

/** An expression: the table has a row, or the fingerprint of its rows is not that of the baseline. */
export function hasOtherRows(
  table: Pick<NumberedTable, 'hasRows' | 'source' | 'baselineFingerprint'>,
): string {
  if (!table.hasRows) return `exists (select from ${table.source})`
  return sql`
    (
      ${rowsFingerprintSql(table.source)}
    ) is distinct from ${table.baselineFingerprint}`
}

function detectByRows(tables: readonly NumberedTable[]): string {
  const expressionOf = (table: NumberedTable) =>
    `/* ${table.number} */ ${isRead(table) ? hasOtherRows(table) : 'false /* row security: see below */'}`
  const chunks = inChunks(tables).map(
    (chunk) => sql`
      select pg_temp.new_plan_id(), array[
               ${chunk.map(expressionOf).join(',\n')}
             ]
        into v_plan_id, v_found;
      v_plan_ids := v_plan_ids || v_plan_id;
      v_dirty := v_dirty || v_found;`,
  )
  return explain(
    'Dirty is a table that was empty and has a row, or that had rows whose fingerprint differs.',
    ...chunks,
  )
}

/** For many tables: most do not even have a page. */
function detectBySize(tables: readonly NumberedTable[]): string {
  const needsRows = (table: NumberedTable) => table.hasRows || table.isPartitioned
  const detect = (table: NumberedTable) =>
    table.isRowSecurityActive ? '' : `${table.isDirty} := ${hasOtherRows(table)};`
  return sql`
    -- A table without pages has no rows. Few are left, in which to look for a row.
    select array_agg(pg_relation_size(oid) > 0 order by number) into v_dirty
      from unnest(c_table_oids) with ordinality as relation (oid, number);
    ${forEachTable(
      'v_dirty',
      tables.filter((table) => !needsRows(table) && !table.isRowSecurityActive),
      (table) => `if ${table.isDirty} then ${detect(table)} end if;`,
    )}
    ${lines(...tables.filter(needsRows).map(detect))}`
}

/** Raises an error for a table that has changed and that this role may not restore; its message is the name. */
export function refuseReadOnlyTables(tables: readonly ReadOnlyTable[]): string {
  return explain(
    'Tables of extensions that this role may read but not write.',
    ...tables.map(
      (table) => sql`
        if ${hasOtherRows(table)} then
          raise insufficient_privilege using message = ${literal(table.name)};
        end if;`,
    ),
  )
}

/** Fills v_large: the numbers of the dirty tables that are worth a truncate. */
export function detectLargeTables(tables: readonly NumberedTable[]): string {
  const partitioned = tables.filter(({ isPartitioned }) => isPartitioned)
  const undeletable = tables.filter(({ refusesDeletes }) => refusesDeletes)
  return lines(
    sql`
      -- Truncate dirty tables from ${TRUNCATE_FROM_BYTES / 1024} kB on. Their large values count from a main file of ${MEASURE_FROM_BYTES / 1024} kB on: the size of
      -- their table, or null if it has been replaced. Two files, where pg_table_size looks for twelve.
      foreach v_number in array array_positions(v_dirty, true) loop
        v_size := pg_relation_size(c_table_oids[v_number]);
        continue when v_size < ${MEASURE_FROM_BYTES};
        if v_size + coalesce(pg_relation_size(c_toast_oids[v_number]), 0) >= ${TRUNCATE_FROM_BYTES} then
          v_large := v_large || v_number;
        end if;
      end loop;`,
    ...partitioned.map(
      ({ oid, number, isDirty }) => sql`
        if ${isDirty} and ${TRUNCATE_FROM_BYTES} <= (
          select sum(pg_relation_size(relid)) from pg_partition_tree(${oid})
        ) then
          v_large := v_large || ${number};
        end if;`,
    ),
    explain(
      'Nothing can be deleted from a table that a publication publishes without a key.',
      ...undeletable.map(
        ({ number, isToRestore }) => sql`
          if ${isToRestore} and ${number} <> all (v_large) then
            v_large := v_large || ${number};
          end if;`,
      ),
    ),
  )
}

/** Compares the rows themselves, of the tables whose fingerprint differs. */
export function compareRows(tables: readonly NumberedTable[]): string {
  return lines(...tables.filter(({ hasRows }) => hasRows).map(compareRowsOf))
}

function compareRowsOf({ name, source, isDirty }: NumberedTable): string {
  return sql`
    if ${isDirty} then
      ${isDirty} := (
        select array_agg((whole_row.*)::text order by (whole_row.*)::text collate "C")
          from ${source} as whole_row
      ) is distinct from (
        select array_agg(content order by content collate "C")
          from provisioning.baseline_row
         where name = ${literal(name)}
      );
    end if;`
}
