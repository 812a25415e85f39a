import type { BaselineSchema } from '../../baseline/schema.ts'
import { withReferrers } from '../../catalog/foreign-keys.ts'
import { literal, textArray } from '../../postgres/quote.ts'
import type { PlanOf } from './chunks.ts'
import type { TablePlan } from './table.ts'

/** Rows that are put back as a whole take along the rows that refer to them, and a circle its members. */
export function planSpread(
  group: readonly TablePlan[],
  planOf: PlanOf,
  { foreignKeys }: BaselineSchema,
): string {
  const names = new Set(group.map((plan) => plan.table.name))
  const parents = foreignKeys
    .filter(({ child, parent }) => names.has(child) && !names.has(parent))
    .map(({ parent }) => planOf.get(parent))
    .filter((plan) => plan?.table.hasRows && group.some(({ table }) => table.hasRows))
  const flags = group.map((plan) => plan.flag)
  const sources = new Set([...flags, ...parents.map((plan) => plan?.flag)])
  if (sources.size === 1) return ''
  return `  if ${[...sources].join(' or ')} then
    ${flags.map((flag) => `${flag} := true;`).join(' ')}
  end if;\n`
}

/** Truncates what is large, together with all that refers to it, where no reader is in the way. */
export function planTruncate(
  plans: readonly TablePlan[],
  planOf: PlanOf,
  { foreignKeys }: BaselineSchema,
): string {
  const truncations = plans.map((plan) => {
    const referrers = withReferrers(plan.table.name, foreignKeys).map((name) => planOf.get(name))
    // Of one that is not to be emptied by itself, rows would go or triggers fire that have to stay.
    const conditions = referrers
      .filter((other) => other !== plan && (other?.table.hasRows || other?.table.triggers.length))
      .map((other) => other?.flag)
    return {
      // Tables that inherit from one of these are tables of their own.
      list: referrers.map((other) => other?.source).join(', '),
      condition: conditions.join(' and ') || 'true',
    }
  })
  return `
  foreach v_number in array v_large loop
    continue when not (array[${truncations.map(({ condition }) => condition).join(', ')}])[v_number];
    v_table := (${textArray(truncations.map(({ list }) => list))})[v_number];
    begin
      execute format('lock table %s in access exclusive mode nowait', v_table);
      execute format('truncate %s', v_table);
      v_signs_anew := true;
    exception when lock_not_available or insufficient_privilege then
      -- Deleted below.
    end;
  end loop;`
}

/** Empties a circle of tables in one statement: keys that cannot be deferred are checked after it. */
export function planEmpty(group: readonly TablePlan[]): string {
  const deletes = group.map((plan) => `delete from ${plan.source}`)
  return `  if ${group[0]?.flag} then\n    ${inOneStatement(deletes)};\n  end if;\n`
}

/** Puts back the rows of the migrations; a circle of tables in one statement, too. */
export function planRefill(group: readonly TablePlan[], searchPath: string): string {
  const filled = group.filter((plan) => plan.refill !== undefined)
  if (filled.length === 0) return ''
  const signs = filled.map((plan) => plan.sign).join('')
  return `  if ${group[0]?.flag} then
    perform set_config('search_path', ${literal(searchPath)}, true);
    ${inOneStatement(filled.map((plan) => plan.refill ?? ''))};
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
${signs}  end if;\n`
}

function inOneStatement(statements: readonly string[]): string {
  const parts = statements.slice(0, -1).map((sql, index) => `part_${index} as (${sql})`)
  return `${parts.length > 0 ? `with ${parts.join(', ')} ` : ''}${statements.at(-1)}`
}
