import { readRecorderState } from '../baseline/recorder.ts'
import { RECORD_FORMAT } from '../baseline/recorder-script.ts'
import { DEFINITIONS_STAMP_SQL } from '../catalog/stamp.ts'
import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'
import { type Difference, describeDifference, type ObjectDifference } from './describe.ts'

/** How the schema compares with the recorded one. */
export interface Comparison {
  /** Null where it cannot be known; `reason` says why. */
  readonly inSync: boolean | null
  readonly reason?: string
  readonly differences: readonly Difference[]
  /** As long as it stays the same, so do the differences; undefined where they are not known. */
  readonly stamp?: string
}

/** Nothing can be said at this moment; the next one may be better. */
export class NotNowError extends Error {}

/** More differences than anybody reads; the first ones tell enough. */
const MAX_DIFFERENCES = 500

/** How long to wait for a lock: a session that waits for the same table has to wait behind this one. */
const LOCK_TIMEOUT = '50ms'

/** Migrations that another session began so long ago were interrupted. */
const RUNNING_SECONDS = 60

/** What to do where the schema is right, and only the record of it is not. */
const ACCEPT = 'if the schema is right, run: select provisioning.record_schema()'

/**
 * Compares the schema with the recorded one; `known` is an earlier comparison of this process, whose
 * differences are not read again while no catalogue has changed. Reads catalogues only, and waits for a lock
 * for 50 ms at most: then it rejects with `lock_not_available`. Rejects with a NotNowError while migrations run.
 */
export async function compareWithRecord(
  client: Queryable,
  known?: Comparison,
): Promise<Comparison> {
  const { format, problem } = await readRecorderState(client)
  if (problem !== undefined) return unknown(problem)
  if (format === undefined) return unknown(NOT_RECORDED)
  if (format !== RECORD_FORMAT) {
    return unknown('another version of the service keeps the record of the schema')
  }
  const { rows } = await client.query<RecordState>(RECORD_SQL)
  const record = rows[0]
  if (record?.isRunning) throw new NotNowError('migrations are running')
  const reason = findReason(record)
  if (record === undefined || reason !== undefined) return unknown(reason ?? NOT_RECORDED)
  if (known?.stamp === record.stamp) return known
  const differences = await readDifferences(client)
  // An object that another session was changing may have looked different for a moment.
  const confirmed = differences.length === 0 ? [] : await readDifferences(client)
  const found = new Set(differences.map((one) => JSON.stringify(one)))
  const certain = confirmed.filter((one) => found.has(JSON.stringify(one)))
  return { inSync: certain.length === 0, differences: certain, stamp: record.stamp }
}

interface RecordState {
  readonly isRunning: boolean
  readonly isRecorded: boolean
  readonly format: number
  readonly recordedMajor: number
  readonly serverMajor: number
  readonly isOfThisHistory: boolean
  readonly isCurrentKnown: boolean
  readonly stamp: string
}

const NOT_RECORDED = `no schema was recorded, because no migration was applied since this service records it; ${ACCEPT}`

const RECORD_SQL = sql`
  select before.recorded_at > now() - interval '${RUNNING_SECONDS} seconds' is true as "isRunning",
         after.moment is not null as "isRecorded",
         after.format,
         after.server_major as "recordedMajor",
         current_setting('server_version_num')::int / 10000 as "serverMajor",
         after.last_migration is not distinct from history.last_migration as "isOfThisHistory",
         history.current_applied is null
           or history.current_applied <= after.current_applied is true as "isCurrentKnown",
         concat_ws(' ', after.recorded_at, (${DEFINITIONS_STAMP_SQL})) as stamp
    from provisioning.read_history() as history
    left join provisioning.recorded_schema as after on after.moment = 'after'
    left join provisioning.recorded_schema as before on before.moment = 'before'`

function findReason(record: RecordState | undefined): string | undefined {
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

async function readDifferences(client: Queryable): Promise<Difference[]> {
  // Several statements in one message are one transaction, to which the limit belongs.
  const results = (await client.query(
    `set local lock_timeout = '${LOCK_TIMEOUT}'; ${DIFFERENCES_SQL}`,
  )) as unknown as readonly { readonly rows: ObjectDifference[] }[]
  return (results.at(-1)?.rows ?? []).flatMap((one) => describeDifference(one) ?? [])
}

/**
 * Objects whose definitions differ, as ObjectDifference. Not among them: queues and partitions that were
 * added, default privileges of further roles only, and the parts of objects that were added, dropped or renamed as a whole.
 */
const DIFFERENCES_SQL = sql`
  with record as materialized (
    select schemas, roles,
           database_oid = (select oid from pg_database where datname = current_database()) as has_addresses
      from provisioning.recorded_schema
     where moment = 'after'
  ),
  recorded as (
    select *
      from provisioning.recorded_object
     where moment = 'after'
  ),
  -- A schema that was renamed is still the migrations'.
  chosen as materialized (
    select schemas || array(select quote_ident(nspname)
                              from pg_namespace
                              join recorded on recorded.objid = pg_namespace.oid
                                           and recorded.kind = 'schema'
                                           and has_addresses) as schemas,
           roles
      from record
  ),
  current as materialized (
    select definition.*
      from chosen,
           provisioning.read_definitions(chosen.schemas, chosen.roles) as definition
  ),
  difference as materialized (
    select kind, name,
           coalesce(recorded.parent, current.parent) as parent,
           recorded.aspects as recorded,
           current.aspects as current,
           row(recorded.classid, recorded.objid, recorded.objsubid)::text as recorded_address,
           row(current.classid, current.objid, current.objsubid)::text as current_address
      from recorded
      full join current using (kind, name)
     where recorded.aspects is distinct from current.aspects
  ),
  renamed as materialized (
    select gone.kind, gone.name, came.name as new_name, came.current
      from difference as gone
      join difference as came
        on came.kind = gone.kind
       and came.current_address = gone.recorded_address
      join record on has_addresses
     where gone.current is null
       and came.recorded is null
  )
  select difference.kind, difference.name, recorded,
         coalesce(difference.current, renamed.current) as current,
         renamed.new_name as "newName"
    from difference
    left join renamed using (kind, name)
   where not (recorded is null and (kind in ('queue', 'partition') or difference.current = '{}'))
     and not exists (select from renamed as came
                      where (came.kind, came.new_name) = (difference.kind, difference.name))
     and not exists (select from difference as whole
                      where whole.name = difference.parent
                        and (whole.recorded is null or whole.current is null))
   order by difference.name, difference.kind
   limit ${MAX_DIFFERENCES}`
