import type { ClientBase } from 'pg'

/** A statement that ran inside a function, and how. */
export interface StatementPlan {
  /** The function's schema and name, and the line in its body; undefined for the call itself. */
  readonly place: { schema: string; routine: string; line: number } | undefined
  readonly statement: string
  /** As text, or as JSON. */
  readonly plan: string
}

export interface PlanOptions {
  readonly format: 'text' | 'json'
}

/**
 * Runs the work and returns the plan of every statement in it, those inside functions included, in the
 * order in which they ended. auto_explain reports them as notices; only a superuser may load it. Rejects with
 * the error of the work.
 */
export async function collectPlans(
  client: ClientBase,
  { format }: PlanOptions,
  work: () => Promise<unknown>,
): Promise<StatementPlan[]> {
  await client.query(
    `load 'auto_explain';
     set auto_explain.log_min_duration = 0;
     set auto_explain.log_nested_statements = on;
     set auto_explain.log_analyze = on;
     set auto_explain.log_timing = ${format === 'text' ? 'on' : 'off'};
     set auto_explain.log_format = '${format}';
     set client_min_messages = 'log'`,
  )
  const plans: StatementPlan[] = []
  const listen = ({ message = '', where = '' }) => {
    const [, text] = /^duration: .*? plan:\s*(.*)$/s.exec(message) ?? []
    if (text !== undefined) plans.push({ place: findPlace(where), ...read(text, format) })
  }
  client.on('notice', listen)
  const reset = async () => {
    client.off('notice', listen)
    await client.query('reset client_min_messages; reset auto_explain.log_min_duration')
  }
  try {
    await work()
  } catch (error) {
    // In a transaction that has failed, the rollback resets them.
    await reset().catch(() => {})
    throw error
  }
  await reset()
  return plans
}

/** The innermost function of an error's context. */
export function findPlace(where: string): StatementPlan['place'] {
  const [, schema = '', routine = '', line] =
    /^PL\/pgSQL function (\w+)\.(\w+)\(.*?\) line (\d+)/m.exec(where) ?? []
  return line === undefined ? undefined : { schema, routine, line: Number(line) }
}

function read(text: string, format: 'text' | 'json'): { statement: string; plan: string } {
  if (format === 'json') {
    return { statement: (JSON.parse(text) as { 'Query Text': string })['Query Text'], plan: text }
  }
  // The plan begins with the first node, which is the first line that has costs.
  const lines = text.replace(/^Query Text:\s*/, '').split('\n')
  const first = lines.findIndex((line) => /\(cost=/.test(line))
  const statement = lines.slice(0, first).filter((line) => !line.startsWith('Query Parameters:'))
  return { statement: statement.join('\n').trim(), plan: lines.slice(first).join('\n') }
}
