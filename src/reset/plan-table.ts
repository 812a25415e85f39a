import { rowsSignSql } from './catalog.ts'
import { literal } from './literal.ts'
import { sourceOf, type Table, type Trigger } from './model.ts'
import { RESET_STATE } from './reset-state.ts'

/** Where deleting row by row begins to cost more than new files do. */
const LARGE_BYTES = 1024 * 1024

/** What the reset does with one table, as parts of PL/pgSQL. */
export interface TablePlan {
  readonly table: Table
  /** The variable that says that the table is to be emptied, and refilled where it had rows. */
  readonly flag: string
  readonly source: string
  readonly look: string
  readonly disable: string
  readonly enable: string
  /** One statement; undefined where the migrations left no row. */
  readonly refill: string | undefined
  /** Keeps the sign of the rows that were put back. */
  readonly sign: string
}

export function planTable(table: Table, number: number, queue: string | undefined): TablePlan {
  const flag = `f${number}`
  const source = sourceOf(table)
  return {
    table,
    flag,
    source,
    look: planLook(table, number, queue),
    disable: inCase(flag, [
      ...table.rules.flatMap((rule) => [
        lockOutReaders(table.name),
        `alter table ${table.name} disable rule ${rule.name};`,
      ]),
      ...table.triggers.map(
        (trigger) => `alter table ${table.name} disable trigger ${trigger.name};`,
      ),
    ]),
    enable:
      inCase(flag, [
        ...table.rules.map((rule) => `alter table ${table.name} ${enable(rule, 'rule')};`),
        ...table.triggers.map(
          (trigger) => `alter table ${table.name} ${enable(trigger, 'trigger')};`,
        ),
      ]) + (table.isRowSecurityActive ? forceRowSecurity(table, number) : ''),
    refill: table.hasRows ? planRefill(table) : undefined,
    sign: `    update provisioning.baseline_relation set rows_sign = (${rowsSignSql(source)})
     where name = ${literal(table.name)};\n`,
  }
}

function planLook(table: Table, number: number, queue: string | undefined): string {
  const flag = `f${number}`
  const name = literal(table.name)
  const source = sourceOf(table)
  const size = table.isPartitioned
    ? `(select sum(pg_relation_size(relid)) from pg_partition_tree(${name}::regclass))`
    : `pg_table_size(${name}::regclass)`
  const canBeLarge = table.isPartitioned ? 'true' : `v_pages[${number}] >= ${LARGE_BYTES / 16}`
  const markLarge = `if ${canBeLarge} and ${size} >= ${LARGE_BYTES} then v_large := v_large || ${number}; end if;`
  const lift = table.isRowSecurityActive
    ? `
    ${lockOutReaders(table.name)}
    alter table ${table.name} no force row level security;`
    : ''

  if (!table.hasRows) {
    const report =
      queue === undefined
        ? `v_emptied := array_append(v_emptied, ${name})`
        : `v_queues := array_append(v_queues, ${literal(queue)})`
    return `  if ${hasPages(table, number)} then${lift}
    if exists (select from ${source}) then
      ${flag} := true; ${report}; ${markLarge}
    end if;
  end if;`
  }
  const now = `select array_agg((whole_row.*)::text order by (whole_row.*)::text collate "C")
        from ${source} as whole_row`
  const then = `select array_agg(content order by content collate "C")
        from provisioning.baseline_row where name = ${name}`
  return `${lift}
  if exists (select from provisioning.baseline_relation
              where name = ${name} and rows_sign is distinct from (${rowsSignSql(source)})) then
    -- The rows were written to; they may yet be what they were.
    ${flag} := (${now}) is distinct from (${then});
    if ${flag} then ${markLarge} end if;
  end if;`
}

/** `offset 0`: the text is read once a row, not once a column. */
function planRefill(table: Table): string {
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

/** At once or not at all: a lock that waits for one reader holds up all those after it. */
function lockOutReaders(name: string): string {
  return `begin
      lock table ${name} in access exclusive mode nowait;
    exception when lock_not_available then
      raise exception 'locked'
        using errcode = '${RESET_STATE.locked}', detail = ${literal(name)}, hint = 'all';
    end;
    v_signs_anew := true;`
}

/** Where it was lifted. */
function forceRowSecurity(table: Table, number: number): string {
  return inCase(table.hasRows ? 'true' : hasPages(table, number), [
    `alter table ${table.name} force row level security;`,
  ])
}

function hasPages(table: Table, number: number): string {
  return table.isPartitioned ? 'true' : `v_pages[${number}] > 0`
}

function enable({ name, enabled }: Trigger, kind: 'trigger' | 'rule'): string {
  return `enable ${enabled === 'A' ? 'always ' : ''}${kind} ${name}`
}

function inCase(condition: string, statements: readonly string[]): string {
  if (statements.length === 0) return ''
  return `  if ${condition} then\n    ${statements.join('\n    ')}\n    v_signs_anew := true;\n  end if;\n`
}
