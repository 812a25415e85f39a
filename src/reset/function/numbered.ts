import type { BaselineSchema, BaselineTable } from '../../baseline/schema.ts'
import type { MaterializedView } from '../../catalog/tables.ts'
import { sourceOf } from '../../catalog/tables.ts'
import { literal } from '../../postgres/quote.ts'

/** A table as the reset function knows it: by its number. */
export interface NumberedTable extends BaselineTable {
  /** Counted from 1, in the order of the schema: parents before children. */
  readonly number: number
  /** Where its own rows are read and deleted: the name, with `only` where it is not partitioned. */
  readonly source: string
  /** An expression: the rows differ from the baseline. */
  readonly isDirty: string
  /** An expression: the rows have to be restored, because of this table or of one it depends on. */
  readonly isToRestore: string
  /** An expression: the fingerprint of the rows in the baseline; null for a table without rows. */
  readonly baselineFingerprint: string
}

/** A table that has no number, since it cannot be restored. */
export type ReadOnlyTable = BaselineTable & Pick<NumberedTable, 'source' | 'baselineFingerprint'>

export interface NumberedView extends MaterializedView {
  /** An expression: the view has to be refreshed. */
  readonly isStale: string
  readonly baselineFingerprint: string
}

/** The schema of the baseline, with the numbers and the expressions by which the function names its parts. */
export interface NumberedSchema
  extends Omit<BaselineSchema, 'tables' | 'groups' | 'readOnlyTables' | 'materializedViews'> {
  readonly tables: readonly NumberedTable[]
  readonly groups: readonly (readonly NumberedTable[])[]
  readonly readOnlyTables: readonly ReadOnlyTable[]
  readonly materializedViews: readonly NumberedView[]
  readonly tableOf: ReadonlyMap<string, NumberedTable>
}

/** Numbers the tables, and the materialized views. */
export function numberSchema(schema: BaselineSchema): NumberedSchema {
  const tables = schema.tables.map((table, index) => ({
    ...table,
    number: index + 1,
    source: sourceOf(table),
    isDirty: `v_dirty[${index + 1}]`,
    isToRestore: `v_restore[${index + 1}]`,
    baselineFingerprint: fingerprintOf(table.name),
  }))
  const tableOf = new Map(tables.map((table) => [table.name, table]))
  return {
    ...schema,
    tables,
    tableOf,
    groups: schema.groups.map((group) => group.flatMap(({ name }) => tableOf.get(name) ?? [])),
    readOnlyTables: schema.readOnlyTables.map((table) => ({
      ...table,
      source: sourceOf(table),
      baselineFingerprint: fingerprintOf(table.name),
    })),
    materializedViews: schema.materializedViews.map((view, index) => ({
      ...view,
      isStale: `v_stale[${index + 1}]`,
      baselineFingerprint: fingerprintOf(view.name),
    })),
  }
}

function fingerprintOf(name: string): string {
  return `(select rows_fingerprint from provisioning.baseline_relation where name = ${literal(name)})`
}
