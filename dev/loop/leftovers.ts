import { describeDifference, type ObjectDifference } from '../../src/drift/describe.ts'
import { replacePlaceholders } from '../../src/migrations/tool/location.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { sqlstateOf } from '../../src/postgres/errors.ts'
import { literal } from '../../src/postgres/quote.ts'
import { sql } from '../../src/postgres/sql-text.ts'
import { SQLSTATE } from '../../src/postgres/sqlstate.ts'
import { lastName, withoutArguments, wordOf } from '../words.ts'
import type { Prepared } from './prepare.ts'
import { listCreated } from './sort-by-use.ts'

/*
 * `current.sql` is applied, never undone: what an earlier save made, and the file does not make any more, stays.
 * A routine that a text makes is written whenever the text runs, so one that was not written is left over. It
 * holds no rows, so it becomes what the migrations made. Of everything else the text itself must mention it.
 */

export interface LeftoverOptions {
  /** Reads the catalogue. */
  readonly client: Queryable
  /** Opens a session as the tool does, for what is to be run. */
  readonly open: () => Promise<SessionClient>
  /** How the schema differed from the committed migrations before this save. */
  readonly differences: readonly ObjectDifference[]
  /** A transaction id from before the save; undefined where `current.sql` has no statement. */
  readonly since: string | undefined
  readonly prepared: Prepared
  readonly placeholders: Readonly<Record<string, string>>
}

/** Restores or drops the routines that are left over. Returns what stays, as sentences that say what to do. */
export async function removeLeftovers(options: LeftoverOptions): Promise<string[]> {
  const { client, open, differences, since, prepared, placeholders } = options
  const routines = differences.filter(isRoutine)
  const written = await listWritten(client, routines, since)
  const leftovers = routines.filter(({ name }) => !written.has(name))
  const others = differences.filter(
    (one) =>
      !isRoutine(one) &&
      (since === undefined || !wordOf(lastName(one.name), 'i').test(prepared.compiled)),
  )
  if (leftovers.length === 0) return others.flatMap(describeLeftover)
  const notes: string[] = []
  const fixtures = listUnused(prepared, written, placeholders)
  const session = await open()
  try {
    for (const one of leftovers) {
      const problem = await restoreRoutine(session, one, fixtures)
      if (problem !== undefined) notes.push(`${one.kind} ${one.name} is left over: ${problem}`)
    }
  } finally {
    await session.end()
  }
  return [...notes, ...others.flatMap(describeLeftover)]
}

const isRoutine = ({ kind }: ObjectDifference) => kind === 'function' || kind === 'procedure'

/** The routines among these that were written since; dropped ones are not. */
async function listWritten(
  client: Queryable,
  routines: readonly ObjectDifference[],
  since: string | undefined,
): Promise<Set<string>> {
  if (since === undefined || routines.length === 0) return new Set()
  const names = routines.map(({ name, newName }) => literal(newName ?? name)).join(', ')
  const { rows } = await client.query<{ name: string }>(sql`
    select name
      from unnest(array[${names}]) as name
      left join pg_proc on pg_proc.oid = to_regprocedure(name)
     where age(pg_proc.xmin) <= age('${since}'::xid)`)
  return new Set(rows.map(({ name }) => name))
}

/** Makes the routine what the migrations made of it, or drops it. Returns why that is not possible. */
async function restoreRoutine(
  session: Queryable,
  { kind, name, recorded }: ObjectDifference,
  fixtures: readonly string[],
): Promise<string | undefined> {
  const drop = `drop ${kind} if exists ${name}`
  // The definition last: a fixture of this name may define another signature only.
  const texts = fixtures.filter((text) => listRoutines(text).includes(withoutArguments(name)))
  const definition = recorded && [...texts, recorded.definition].join(';\n')
  // Messages of several statements: each is a transaction.
  const attempts = definition === null ? [drop] : [definition, `${drop};\n${definition}`]
  let problem: string | undefined
  for (const attempt of attempts) {
    try {
      await session.query(attempt)
      return undefined
    } catch (error) {
      if (sqlstateOf(error) === undefined) throw error
      const { message, detail } = error as { message: string; detail?: string }
      problem ??= detail === undefined ? message : `${message}: ${detail}`
      // If only its result or the names of its arguments differ, it has to be dropped first.
      if (sqlstateOf(error) !== SQLSTATE.invalidFunctionDefinition) break
    }
  }
  return problem
}

/**
 * The committed texts that undo nothing of what is applied now: with a definition, they also restore the comment and
 * the privileges.
 */
function listUnused(
  { included, committed }: Prepared,
  written: ReadonlySet<string>,
  placeholders: LeftoverOptions['placeholders'],
): string[] {
  const names = new Set([...written].map(withoutArguments))
  return [...committed]
    .filter(
      ([path, text]) => !included.has(path) && !listRoutines(text).some((one) => names.has(one)),
    )
    .map(([, text]) => replacePlaceholders(text, placeholders))
}

const listRoutines = (text: string) => listCreated(text).map((name) => name.toLowerCase())

/** Says what stays, and what to do; nothing where another one says all of it, as a column does of its table. */
function describeLeftover(difference: ObjectDifference): string[] {
  const { kind, name, parent, recorded, current } = difference
  const described = describeDifference(difference)
  if (described === undefined) return []
  const { change, detail } = described
  const what = `${kind} ${name}`
  if (current === null) {
    return [`${what} is left dropped: current.sql does not drop it any more; make it again in psql`]
  }
  if (recorded !== null) {
    return [
      `${what} is left ${change} (${detail}): current.sql does not do that any more; change it back in psql`,
    ]
  }
  const last = parent === null ? name : name.slice(parent.length + 1)
  const drop =
    kind === 'column' || kind === 'constraint'
      ? `alter table ${parent} drop ${kind} ${last}`
      : kind === 'trigger' || kind === 'policy' || kind === 'rule'
        ? `drop ${kind} ${last} on ${parent}`
        : `drop ${kind} ${name}`
  return [
    `${what} is left over: current.sql does not make it any more; if you do not need it: ${drop}`,
  ]
}
