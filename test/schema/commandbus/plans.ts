import type { PoolClient } from 'pg'
import { collectPlans } from '../../../dev/explain/plans.ts'

/** One node of a plan that ran: what it read of which relation, by which index. */
export interface Scan {
  readonly relation: string
  readonly index: string | null
  /** Such as `Seq Scan`. */
  readonly node: string
  /** Rows read, over all loops, including those that a filter removed. */
  readonly rows: number
}

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly PlanNode[]
}

/** Runs the work and returns the scans of every statement in it, those inside functions included. */
export async function scansOf(client: PoolClient, work: () => Promise<unknown>): Promise<Scan[]> {
  const plans = await collectPlans(client, { format: 'json' }, work)
  return plans.flatMap(({ plan }) => scansIn((JSON.parse(plan) as { Plan: PlanNode }).Plan))
}

function scansIn(node: PlanNode): Scan[] {
  const below = (node.Plans ?? []).flatMap(scansIn)
  const relation = node['Relation Name']
  // A bitmap's index stands in the node below the one that names the relation.
  const index = node['Index Name'] ?? node.Plans?.find((plan) => plan['Index Name'])?.['Index Name']
  if (relation === undefined || !node['Node Type'].includes('Scan')) return below
  const rows = (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
  return [{ relation, index: index ?? null, node: node['Node Type'], rows }, ...below]
}
