import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientBase } from 'pg'
import { createCall } from './call.ts'
import { collectPlans, type StatementPlan } from './plans.ts'

export interface ExplainOptions {
  /** Of the function, with or without its schema. */
  readonly name: string | undefined
  /** Its arguments, as text. */
  readonly given: readonly string[]
  /** The folder of the fixtures, to name a statement's line in them. */
  readonly fixtures: string
}

/**
 * Calls the function in a transaction that is rolled back, and returns what to show: each statement inside
 * it with its place and its plan, then what the call returned.
 */
export async function explainCall(
  client: ClientBase,
  { name, given, fixtures }: ExplainOptions,
): Promise<string[]> {
  const { text, values } = await createCall(client, name, given)
  await client.query('begin')
  try {
    let rows: unknown[] = []
    const plans = await collectPlans(client, { format: 'text' }, async () => {
      rows = (await client.query(text, [...values])).rows
    })
    return [
      ...plans
        .filter(({ place }) => place !== undefined)
        .flatMap((plan) => [locate(plan, fixtures), indent(plan.statement), indent(plan.plan), '']),
      ...rows.map((row) => `returned ${JSON.stringify(row)}`),
      'rolled back',
    ]
  } finally {
    await client.query('rollback')
  }
}

/** A statement's place in the fixture; in the function where no fixture has it. */
function locate({ place }: StatementPlan, fixtures: string): string {
  if (place === undefined) return ''
  const { schema, routine, line } = place
  const path = join(fixtures, schema, 'functions', `${routine}.sql`)
  if (!existsSync(path)) return `${schema}.${routine}, line ${line}`
  // The line on which the body's quotes open is its first.
  const lines = readFileSync(path, 'utf8').split('\n')
  return `${path}:${lines.findIndex((one) => /^as \$/i.test(one)) + line}`
}

const indent = (text: string) => text.replaceAll(/^/gm, '  ')
