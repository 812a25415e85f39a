import type { PoolClient } from 'pg'

/** One node of a plan that ran: what it read of which relation, by which index. */
export interface Scan {
  readonly relation: string
  readonly index: string | null
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

/**
 * Runs the work and returns the scans of every statement in it, those inside functions included.
 * auto_explain reports the plans to the client as notices.
 */
export async function scansOf(client: PoolClient, work: () => Promise<unknown>): Promise<Scan[]> {
  await client.query(
    `load 'auto_explain';
     set auto_explain.log_min_duration = 0;
     set auto_explain.log_nested_statements = on;
     set auto_explain.log_analyze = on;
     set auto_explain.log_timing = off;
     set auto_explain.log_format = 'json';
     set client_min_messages = 'log'`,
  )
  const plans: PlanNode[] = []
  const listen = ({ message = '' }) => {
    const [, json] = /plan:\s*(\{.*\})\s*$/s.exec(message) ?? []
    if (json !== undefined) plans.push((JSON.parse(json) as { Plan: PlanNode }).Plan)
  }
  client.on('notice', listen)
  try {
    await work()
  } finally {
    client.off('notice', listen)
    await client.query(`reset client_min_messages; reset auto_explain.log_min_duration`)
  }
  return plans.flatMap(scansIn)
}

function scansIn(node: PlanNode): Scan[] {
  const below = (node.Plans ?? []).flatMap(scansIn)
  const relation = node['Relation Name']
  // A bitmap's index stands in the node below the one that names the relation.
  const index = node['Index Name'] ?? node.Plans?.find((plan) => plan['Index Name'])?.['Index Name']
  if (relation === undefined || !node['Node Type'].includes('Scan')) return below
  const rows = (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
  return [{ relation, index: index ?? null, rows }, ...below]
}
