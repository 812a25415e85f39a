import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ClientBase, DatabaseError } from 'pg'
import { ServiceError } from '../../src/errors/service-error.ts'
import { readMigrationStatus } from '../../src/migrations/history.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { createCall } from './call.ts'
import { collectPlans, findPlace, type StatementPlan } from './plans.ts'

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
 * it with its place and its plan, then what the call returned. Rejects with the code call_failed if the call
 * raised an error, and with call_not_possible if there is no such call.
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
        .flatMap(({ place, statement, plan }) => [
          locate(place, fixtures),
          indent(statement),
          indent(plan),
          '',
        ]),
      ...rows.map((row) => `returned ${JSON.stringify(row)}`),
      ...(rows.length === 0 ? ['returned no row'] : []),
      'rolled back',
    ]
  } catch (error) {
    throw error instanceof DatabaseError ? describeFailure(error, fixtures) : error
  } finally {
    await client.query('rollback')
  }
}

/**
 * Handles the error of a call: a function that is missing may be one of a migration that the database does not have yet. Always
 * rejects.
 */
export function addPending(client: Queryable, migrationsDir: string) {
  return async (error: unknown): Promise<never> => {
    if (!(error instanceof ServiceError) || error.code !== 'call_not_possible') throw error
    const pending = await readMigrationStatus(client, migrationsDir).then(
      (status) => status.pending.length,
      () => 0,
    )
    if (pending === 0) throw error
    throw new ServiceError(
      'call_not_possible',
      `${error.message}; ${pending} migration${pending === 1 ? ' is' : 's are'} pending in this database: npm run dev or ` +
        'npm run db:watch applies what is pending',
    )
  }
}

/** PostgreSQL's own words, after the line that raised them where that is known. */
function describeFailure(error: DatabaseError, fixtures: string): ServiceError {
  const { message, code, detail, hint, where = '' } = error
  const place = locate(findPlace(where), fixtures)
  const lines = [
    `the call failed: ${place === '' ? '' : `${place}: `}${message} (${code})`,
    ...(detail ? [`  detail: ${detail}`] : []),
    ...(hint ? [`  hint: ${hint}`] : []),
  ]
  return new ServiceError('call_failed', lines.join('\n'), { cause: error })
}

/** A statement's place in the fixture; in the function where no fixture has it. */
function locate(place: StatementPlan['place'], fixtures: string): string {
  if (place === undefined) return ''
  const { schema, routine, line } = place
  const path = join(fixtures, schema, 'functions', `${routine}.sql`)
  if (!existsSync(path)) return `${schema}.${routine}, line ${line}`
  // The line on which the body's quotes open is its first.
  const lines = readFileSync(path, 'utf8').split('\n')
  return `${path}:${lines.findIndex((one) => /^as \$/i.test(one)) + line}`
}

const indent = (text: string) => text.replaceAll(/^/gm, '  ')
