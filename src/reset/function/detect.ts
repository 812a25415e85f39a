import { inCaseOfAny, inChunks } from './chunks.ts'
import type { TablePlan } from './table.ts'

/** Up to here a table is asked for a row sooner than for its size. */
const MANY_TABLES = 200

/** PL/pgSQL that fills `v_dirty`, by table, and `v_large` with the numbers of those to be truncated. */
export function planLook(plans: readonly TablePlan[]): string {
  const oids = `'{${plans.map(({ table }) => table.oid).join(',')}}'::oid[]`
  const apart = plans.map((plan) => plan.look ?? '').join('')
  // Of many, most have not a single page, and so no row.
  const ask = plans.length > MANY_TABLES ? planLookBySize(plans, oids) : planLookAtOnce(plans)
  const { truncateFromBytes, askFromBytes } = LARGE
  return `${ask}${apart}
  v_large := array(
    select number from unnest(array_positions(v_dirty, true)) as number
     where case when pg_relation_size((${oids})[number]) < ${askFromBytes} then false
                else pg_table_size((${oids})[number]) >= ${truncateFromBytes} end);
${plans
  .filter(({ table }) => table.isPartitioned)
  .map(planLargePartitions)
  .join('')}`
}

/** From where on new files cost less than deleting row by row; and whether to ask for all of a table's files. */
const LARGE = { truncateFromBytes: 1024 * 1024, askFromBytes: 64 * 1024 }

function planLookAtOnce(plans: readonly TablePlan[]): string {
  return inChunks(plans)
    .map((chunk) => chunk.map((plan) => (plan.look === undefined ? plan.isDirty : 'false')))
    .map((asked) => `  v_dirty := v_dirty || array[${asked.join(',\n    ')}];\n`)
    .join('')
}

function planLookBySize(plans: readonly TablePlan[], oids: string): string {
  const isCertain = ({ table }: TablePlan) => table.hasRows || table.isPartitioned
  const ask = (plan: TablePlan) =>
    plan.look === undefined ? `${plan.flag} := ${plan.isDirty};` : ''
  const uncertain = plans.filter((plan) => !isCertain(plan)).map((plan) => [plan])
  return `
  select array_agg(pg_relation_size(oid) > 0 order by number) into v_dirty
    from unnest(${oids}) with ordinality as relation (oid, number);
${inCaseOfAny(uncertain, ([plan]) => (plan ? `  if ${plan.flag} then ${ask(plan)} end if;\n` : ''))}
${plans.filter(isCertain).map(ask).join('\n')}`
}

function planLargePartitions({ table, number, flag }: TablePlan): string {
  return `  if ${flag} and ${LARGE.truncateFromBytes} <=
      (select sum(pg_relation_size(relid)) from pg_partition_tree(${table.oid})) then
    v_large := v_large || ${number};
  end if;\n`
}

/** What was written may yet be what it was; a reset would put it back all the same. */
export function planCloserLook({ table, flag, differs }: TablePlan): string {
  return table.hasRows ? `    if ${flag} then ${flag} := ${differs}; end if;\n` : ''
}
