import type { Queryable } from '../postgres/client.ts'
import { listForeignObjects } from './own-schema.ts'
import { RECORD_FORMAT, RECORDER_SCRIPT } from './recorder-script.ts'

/*
 * Several statements in one message are one transaction, which ends with it: nothing here leaves one open.
 */

/** What keeps the schema from being recorded; `undefined` where nothing does. */
export type RecorderProblem = string | undefined

/** How long a table may keep others out before the schema is not recorded. */
const LOCK_TIMEOUT = `set local lock_timeout = '2s'`

/** The migration that commits next waits for the disk, and then what was committed before it is there, too. */
const ASYNCHRONOUS = 'set local synchronous_commit = off'

/**
 * Creates what records the schema, or brings that of another version up to date. Returns why it cannot: the
 * schema belongs to another program, or a right is missing.
 */
export async function ensureRecorder(client: Queryable): Promise<RecorderProblem> {
  const { problem, script } = await findRecorderScript(client)
  if (script !== '') await client.query(script)
  return problem
}

/** The script to run before the schema can be recorded; empty where it ran before, or must not run. */
async function findRecorderScript(
  client: Queryable,
): Promise<{ readonly problem?: RecorderProblem; readonly script: string }> {
  const { problem, format, schemaExists, mayCreate, role } = await readRecorderState(client)
  if (problem !== undefined) return { problem, script: '' }
  if (format !== undefined && format >= RECORD_FORMAT) return { script: '' }
  if (!mayCreate) {
    const missing =
      `${role} may not create the schema provisioning: grant it create on the database, or run ` +
      'the migrations with a role that may'
    return { problem: missing, script: '' }
  }
  const foreign = schemaExists ? await listForeignObjects(client) : []
  if (foreign.length > 0) {
    const taken = `the schema provisioning holds objects that this service did not make: ${foreign.slice(0, 5).join(', ')}`
    return { problem: taken, script: '' }
  }
  return { script: RECORDER_SCRIPT }
}

export interface RecorderState {
  /** The version of what is there; undefined where nothing is. */
  readonly format: number | undefined
  /** Why this role cannot use it. */
  readonly problem: RecorderProblem
  /** Whether the schema provisioning is there, also if another program made it. */
  readonly schemaExists: boolean
  readonly mayCreate: boolean
  readonly role: string
}

/** Finds out what there is to record the schema with, without touching an object of another program. */
export async function readRecorderState(client: Queryable): Promise<RecorderState> {
  const { rows } = await client.query<{
    role: string
    isThere: boolean
    schemaExists: boolean
    mayUse: boolean
    mayCreate: boolean
  }>(
    `select quote_ident(current_user) as role,
            record_format.oid is not null as "isThere",
            to_regnamespace('provisioning') is not null as "schemaExists",
            coalesce(
              has_schema_privilege(record_format.relnamespace, 'usage')
                and has_table_privilege(record_format.oid, 'select')
                and has_table_privilege(to_regclass('provisioning.recorded_schema'), 'select')
                and has_table_privilege(to_regclass('provisioning.recorded_object'), 'select')
                -- A record of another format does not have it.
                and coalesce(has_function_privilege(
                      to_regprocedure('provisioning.read_definitions(text[], text[], text[])'), 'execute'), true)
                and has_function_privilege(to_regprocedure('provisioning.read_history()'), 'execute'),
              false) as "mayUse",
            coalesce(
              (select has_schema_privilege(oid, 'create') from pg_namespace where nspname = 'provisioning'),
              has_database_privilege(current_database(), 'create')) as "mayCreate"
       from (values (1)) as one
       left join pg_class as record_format
         on relnamespace = (select oid from pg_namespace where nspname = 'provisioning')
        and relname = 'record_format'
        and relkind = 'v'
        and obj_description(record_format.oid, 'pg_class') = 'The version of the record of the schema.'`,
  )
  const { role = '', isThere = false, mayUse = false } = rows[0] ?? {}
  const { schemaExists = false, mayCreate = false } = rows[0] ?? {}
  if (!isThere) return { format: undefined, problem: undefined, schemaExists, mayCreate, role }
  if (!mayUse) {
    const problem =
      `${role} may not read the recorded schema: grant it usage on the schema provisioning, select on its ` +
      'tables and execute on its functions, or connect as the role that migrates'
    return { format: undefined, problem, schemaExists, mayCreate, role }
  }
  const { rows: formats } = await client.query<{ format: number }>(
    'select format from provisioning.record_format',
  )
  return { format: formats[0]?.format, problem: undefined, schemaExists, mayCreate, role }
}

/** Remembers the schema before migrations. Returns why it cannot. */
export async function beginRecording(client: Queryable): Promise<RecorderProblem> {
  const { problem, script } = await findRecorderScript(client)
  if (problem !== undefined) return problem
  // In one transaction with the script: a commit takes longer than all of it.
  await client.query(
    `${LOCK_TIMEOUT}; ${ASYNCHRONOUS}; ${script}; select provisioning.begin_recording()`,
  )
  return undefined
}

/** Records what the migrations since `beginRecording` changed. */
export async function finishRecording(client: Queryable): Promise<void> {
  await client.query(`${LOCK_TIMEOUT}; select provisioning.finish_recording()`)
}

/** The longest that `prepareFinish` may take: the migration may have ended. */
const PREPARE_TIMEOUT = '500ms'

/**
 * Has the session load what `finishRecording` needs, where there was no schema to read at the beginning: that takes
 * longer than to record the schema. To be called while the last migration runs. Reads definitions of the service's own
 * objects only, so that no migration waits for it.
 */
export async function prepareFinish(client: Queryable): Promise<void> {
  await client.query(
    `set local statement_timeout = '${PREPARE_TIMEOUT}';
     select count(*) from provisioning.read_definitions('{provisioning}', null, null)`,
  )
}
