import { LAST_CURRENT_SQL, LAST_MIGRATION_SQL } from '../baseline/last-migration.ts'
import { readRecorderState } from '../baseline/recorder.ts'
import { RECORD_FORMAT } from '../baseline/recorder-script.ts'
import { ALWAYS_READ } from '../catalog/definitions/definitions.ts'
import { OTHERS_STAMP_SQL, ROUTINES_STAMP_SQL } from '../catalog/stamp.ts'
import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'
import { type Difference, describeDifference, type ObjectDifference } from './describe.ts'
import { byName, MAX_DIFFERENCES, readDifferences } from './differences.ts'
import { plainStatements, type Statements } from './statements.ts'
import { type Changed, findTouched, readStamps, type Stamps } from './touched.ts'

/** How the schema compares with the recorded one. */
export interface Comparison {
  /** Null where it cannot be known; `reason` says why. */
  readonly inSync: boolean | null
  readonly reason?: string
  readonly differences: readonly Difference[]
  /** What the next comparison continues from; undefined where the differences are not known. */
  readonly base?: Base
}

interface Base {
  readonly hasHistory: boolean
  /** The record that was compared with. */
  readonly recordedAt: string
  /** As long as both stay the same, so do the differences. */
  readonly routinesStamp: string | null
  readonly othersStamp: string
  /** Of each object, to know later which ones changed. */
  readonly stamps: Stamps
  readonly differences: readonly ObjectDifference[]
}

/** Migrations are running: compare again later. */
export class MigrationsRunningError extends Error {}

/** A run that has failed looks the same until it is tried again, or was long ago. */
const RUNNING = 'migrations are running, or the last run of them has failed'

/** Migrations that another session began so long ago were interrupted. */
const RUNNING_SECONDS = 60

/** What to do where the schema is right, and only the record of it is not. */
const ACCEPT = 'if the schema is right, run: select provisioning.record_schema()'

/**
 * Compares the schema with the recorded one; `known` is an earlier comparison of this process: only what changed
 * since is read, through `statements`. Reads catalogues only, and waits for a lock for 50 ms at most: then it
 * rejects with `lock_not_available`. Rejects with a MigrationsRunningError while migrations run.
 */
export async function compareWithRecord(
  client: Queryable,
  known?: Comparison,
  statements: Statements = plainStatements(client),
): Promise<Comparison> {
  const plain = plainStatements(client)
  const some = known?.base === undefined ? plain : statements
  // Where there was a record to compare with, it is still there, or the next query fails.
  if (known?.base === undefined) {
    const { format, problem } = await readRecorderState(client)
    if (problem !== undefined) return unknown(problem)
    if (format === undefined) return unknown(NOT_RECORDED)
    if (format !== RECORD_FORMAT) return unknown(OTHER_VERSION)
  }
  const [record] = await some.run<RecordState>(
    known?.base?.hasHistory ? recordWithHistorySql : recordSql,
  )
  if (record?.isRunning) throw new MigrationsRunningError(RUNNING)
  const reason = findReason(record)
  if (record === undefined || reason !== undefined) return unknown(reason ?? NOT_RECORDED)
  const { recordedAt, routinesStamp, othersStamp, hasHistory } = record
  const base = known?.base?.recordedAt === recordedAt ? known.base : undefined
  const changed = findChanged(base, record)
  if (known !== undefined && changed === undefined) return known

  // Before the definitions: what changes after it changes the next stamps, too.
  const stamps = await readStamps(some, changed ?? 'all', base?.stamps)
  const isBaseWhole = base !== undefined && base.differences.length < MAX_DIFFERENCES
  const touched = isBaseWhole ? await findTouched(some, base.stamps, stamps) : undefined
  // To read everything fills the session's caches with everything.
  const confirmed = await readConfirmed(touched === undefined ? plain : some, touched)
  const differences = mergeDifferences(base, touched, confirmed)
  const described = differences.flatMap((one) => describeDifference(one) ?? [])
  return {
    inSync: described.length === 0,
    differences: described.slice(0, MAX_DIFFERENCES),
    base: { hasHistory, recordedAt, routinesStamp, othersStamp, stamps, differences },
  }
}

/** Undefined where nothing changed. */
function findChanged(base: Base | undefined, now: RecordState): Changed | undefined {
  if (base === undefined) return 'all'
  const hasSameRoutines = base.routinesStamp === now.routinesStamp
  if (base.othersStamp !== now.othersStamp) return hasSameRoutines ? 'others' : 'all'
  return hasSameRoutines ? undefined : 'routines'
}

/** The differences of these objects, or of all: twice, since another session may be in the middle of a change. */
async function readConfirmed(
  statements: Statements,
  touched: readonly string[] | undefined,
): Promise<ObjectDifference[]> {
  const first = await readDifferences(statements, touched)
  if (first.length === 0) return []
  const seen = new Set(first.map((one) => JSON.stringify(one)))
  const second = await readDifferences(statements, touched)
  return second.filter((one) => seen.has(JSON.stringify(one)))
}

/** Differences of objects that nothing touched are still the same. */
function mergeDifferences(
  base: Base | undefined,
  touched: readonly string[] | undefined,
  found: readonly ObjectDifference[],
): readonly ObjectDifference[] {
  if (base === undefined || touched === undefined) return found
  const names = new Set(touched)
  const kept = base.differences.filter(
    ({ kind, name, parent }) =>
      !ALWAYS_READ.includes(kind) && !names.has(name) && !(parent !== null && names.has(parent)),
  )
  return [...kept, ...found].sort(byName)
}

interface RecordState {
  readonly isRunning: boolean
  readonly isRecorded: boolean
  readonly format: number
  readonly ownFormat: number
  readonly recordedMajor: number
  readonly serverMajor: number
  readonly hasHistory: boolean
  readonly isOfThisHistory: boolean
  readonly isCurrentKnown: boolean
  readonly recordedAt: string
  /** Null where there is no routine. */
  readonly routinesStamp: string | null
  readonly othersStamp: string
}

const NOT_RECORDED = `no schema was recorded, because no migration was applied since this service records it; ${ACCEPT}`

const OTHER_VERSION = 'another version of the service keeps the record of the schema'

/** As in the function, without the time that it takes to load the language that it is in. */
const HISTORY_SQL = sql`
  (select (${LAST_MIGRATION_SQL}) as last_migration,
          (${LAST_CURRENT_SQL}) as current_applied)`

const recordFromSql = (history: string) => sql`
  select before.recorded_at > now() - interval '${RUNNING_SECONDS} seconds' is true as "isRunning",
         after.moment is not null as "isRecorded",
         after.format,
         (select format from provisioning.record_format) as "ownFormat",
         after.server_major as "recordedMajor",
         current_setting('server_version_num')::int / 10000 as "serverMajor",
         history.last_migration is not null as "hasHistory",
         after.last_migration is not distinct from history.last_migration as "isOfThisHistory",
         history.current_applied is null
           or history.current_applied <= after.current_applied is true as "isCurrentKnown",
         after.recorded_at::text as "recordedAt",
         (${ROUTINES_STAMP_SQL})::text as "routinesStamp",
         (${OTHERS_STAMP_SQL})::text as "othersStamp"
    from ${history} as history
    left join provisioning.recorded_schema as after on after.moment = 'after'
    left join provisioning.recorded_schema as before on before.moment = 'before'`

const recordSql = () => recordFromSql('provisioning.read_history()')
const recordWithHistorySql = () => recordFromSql(HISTORY_SQL)

function findReason(record: RecordState | undefined): string | undefined {
  if (record !== undefined && record.ownFormat !== RECORD_FORMAT) return OTHER_VERSION
  if (!record?.isRecorded) return NOT_RECORDED
  const { recordedMajor, serverMajor } = record
  if (record.format !== RECORD_FORMAT) {
    return `the schema was recorded by another version of the service; ${ACCEPT}`
  }
  if (recordedMajor !== serverMajor) {
    return `the schema was recorded on PostgreSQL ${recordedMajor}, and this is ${serverMajor}; ${ACCEPT}`
  }
  if (!record.isOfThisHistory) {
    return `the history changed without this service since the schema was recorded; ${ACCEPT}`
  }
  if (!record.isCurrentKnown) {
    return 'current.sql was applied by another program than npm run dev or db:watch, so what it changed is not known'
  }
  return undefined
}

function unknown(reason: string): Comparison {
  return { inSync: null, reason, differences: [] }
}
