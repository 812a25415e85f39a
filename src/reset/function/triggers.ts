import type { Trigger } from '../../catalog/tables.ts'
import { explain, lines, sql } from '../../postgres/sql-text.ts'
import { lockAtOnce } from './blocked.ts'
import { forEachGroup, forEachTable } from './chunks.ts'
import type { NumberedSchema, NumberedTable } from './numbered.ts'

/** Disables the triggers and rules that restoring the rows would fire. */
export function disableTriggers({ groups }: NumberedSchema): string {
  return explain(
    'Disable the triggers and rules that the rest would fire. By name: ENABLE TRIGGER USER ' +
      'would later enable those, too, that are disabled in the baseline.',
    forEachGroup('v_restore', groups, (group) => lines(...group.map(disableTriggersOf))),
  )
}

function disableTriggersOf(table: NumberedTable): string {
  return ifToRestore(table, [
    ...table.rules.flatMap(({ name }) => [
      lockAtOnce(table.name),
      `alter table ${table.name} disable rule ${name};`,
    ]),
    ...table.triggers.map(
      (trigger) => `alter table only ${trigger.table} disable trigger ${trigger.name};`,
    ),
  ])
}

/** Enables them again, each in the state that it had. */
export function enableTriggers({ tables }: NumberedSchema): string {
  return explain(
    'Enable them again, each in the state that it had.',
    forEachTable('v_restore', tables, enableTriggersOf),
  )
}

function enableTriggersOf(table: NumberedTable): string {
  return ifToRestore(table, [
    ...table.rules.map((rule) => `alter table ${table.name} ${enable(rule)} rule ${rule.name};`),
    ...table.triggers.map(
      (trigger) => `alter table only ${trigger.table} ${enable(trigger)} trigger ${trigger.name};`,
    ),
  ])
}

const enable = ({ enabled }: Trigger): string =>
  ({ O: 'enable', R: 'enable replica', A: 'enable always' })[enabled]

function ifToRestore({ isToRestore }: NumberedTable, statements: readonly string[]): string {
  if (statements.length === 0) return ''
  return sql`
    if ${isToRestore} then
      ${lines(...statements)}
      v_wrote_catalog := true;
    end if;`
}
