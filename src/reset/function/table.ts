import type { BaselineTable } from '../../baseline/schema.ts'
import { rowsFingerprintSql } from '../../catalog/fingerprint.ts'
import { sourceOf, type Trigger } from '../../catalog/tables.ts'
import { literal } from '../../postgres/quote.ts'
import { lockAtOnce } from './blocked.ts'

/** What the reset does with one table, as parts of PL/pgSQL. */
export interface TablePlan {
  readonly table: BaselineTable
  /** Counted from 1. */
  readonly number: number
  readonly source: string
  /** The expression that says that the table is to be emptied, and refilled where it had rows. */
  readonly flag: string
  /** An expression: whether the table was written to. */
  readonly isDirty: string
  /** An expression, for a table that had rows and was: whether they are not what they were, all the same. */
  readonly differs: string
  /** Finds it out by statements, where row security hides rows from this role. */
  readonly look: string | undefined
  readonly disable: string
  readonly enable: string
  /** One statement; undefined where the migrations left no row. */
  readonly refill: string | undefined
  /** Keeps the sign of the rows that were put back. */
  readonly sign: string
}

interface TablePlanOptions {
  readonly number: number
  /** The expression that has the baseline's sign of the rows. */
  readonly rowsSign: string
}

export function planTable(table: BaselineTable, options: TablePlanOptions): TablePlan {
  const { number } = options
  const flag = `v_dirty[${number}]`
  const source = sourceOf(table)
  return {
    table,
    number,
    source,
    flag,
    isDirty: planIsDirty(table, options),
    differs: compareRows(table),
    look: table.isRowSecurityActive ? planUnforcedLook(table, options) : undefined,
    disable: inCase(flag, [
      ...table.rules.flatMap((rule) => [
        lockAtOnce(table.name),
        `alter table ${table.name} disable rule ${rule.name};`,
      ]),
      ...table.triggers.map(
        (trigger) => `alter table only ${trigger.table} disable trigger ${trigger.name};`,
      ),
    ]),
    enable:
      inCase(flag, [
        ...table.rules.map((rule) => `alter table ${table.name} ${enable(rule, 'rule')};`),
        ...table.triggers.map(
          (trigger) => `alter table only ${trigger.table} ${enable(trigger, 'trigger')};`,
        ),
      ]) +
      inCase(
        `${number} = any (v_lifted)`,
        table.isRowSecurityActive ? [`alter table ${table.name} force row level security;`] : [],
      ),
    refill: table.hasRows ? planRefill(table) : undefined,
    sign: `    update provisioning.baseline_relation set rows_fingerprint = (${rowsFingerprintSql(source)})
     where name = ${literal(table.name)};\n`,
  }
}

function planIsDirty(table: BaselineTable, { rowsSign }: TablePlanOptions): string {
  const source = sourceOf(table)
  return table.hasRows
    ? `(${rowsFingerprintSql(source)}) is distinct from ${rowsSign}`
    : `exists (select from ${source})`
}

/** Forced row security is lifted for that, unless there is no page that could have a row. */
function planUnforcedLook(table: BaselineTable, options: TablePlanOptions): string {
  const { number } = options
  const canHaveRows =
    table.hasRows || table.isPartitioned ? 'true' : `pg_relation_size(${table.oid}) > 0`
  return `  if ${canHaveRows} then
    ${lockAtOnce(table.name)}
    alter table ${table.name} no force row level security;
    v_signs_anew := true;
    v_lifted := v_lifted || ${number};
    v_dirty[${number}] := ${planIsDirty(table, options)};
  end if;
`
}

function compareRows(table: BaselineTable): string {
  return `(select array_agg((whole_row.*)::text order by (whole_row.*)::text collate "C")
        from ${sourceOf(table)} as whole_row) is distinct from
      (select array_agg(content order by content collate "C")
         from provisioning.baseline_row where name = ${literal(table.name)})`
}

/** `offset 0`: the text is read once a row, not once a column. */
function planRefill(table: BaselineTable): string {
  if (table.columns.length === 0) {
    return `insert into ${table.name}
    select from provisioning.baseline_row where name = ${literal(table.name)}`
  }
  const columns = table.columns.join(', ')
  const values = table.columns.map((column) => `(stored.whole_row).${column}`).join(', ')
  return `insert into ${table.name} (${columns}) overriding system value
    select ${values}
      from (select content::${table.name} as whole_row
              from provisioning.baseline_row
             where name = ${literal(table.name)}
             order by position offset 0) as stored`
}

function enable({ name, enabled }: Trigger, kind: 'trigger' | 'rule'): string {
  return `enable ${{ O: '', R: 'replica ', A: 'always ' }[enabled]}${kind} ${name}`
}

function inCase(condition: string, statements: readonly string[]): string {
  if (statements.length === 0) return ''
  return `  if ${condition} then\n    ${statements.join('\n    ')}\n    v_signs_anew := true;\n  end if;\n`
}
