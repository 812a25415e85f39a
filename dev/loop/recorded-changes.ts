import { readRecorderState } from '../../src/baseline/recorder.ts'
import { RECORD_FORMAT, RECORDED_COLUMNS } from '../../src/baseline/recorder-script.ts'
import { DEFINITIONS_STAMP_SQL } from '../../src/catalog/stamp.ts'
import {
  changesSinceSql,
  describeAll,
  FORGET_UNDONE_SQL,
  KEEP_COMMITTED_SQL,
  recordFailureSql,
} from '../../src/drift/current-changes.ts'
import type { Difference, ObjectDifference } from '../../src/drift/describe.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { sql } from '../../src/postgres/sql-text.ts'
import { COMMENTS_SQL, type Comments, describeComments } from './comments.ts'
import type { Failure } from './failure.ts'

/*
 * Several statements in one message are one transaction. Besides the moments of src/baseline, the loop keeps
 * 'saved', the recorded objects before a save, and 'idle', all objects as they were after the last save, with
 * the stamp of the catalogue at that time: while it is the same, they need not be read again before the next.
 */

/**
 * Records what the uncommitted migration changes in the schema, so that it is no drift. Nothing here rejects: what
 * keeps the schema from being recorded does not keep the migration from being applied.
 */
export interface Recorder {
  /** Returns undefined where the schema is not recorded, otherwise a transaction id that is not used yet. */
  begin(): Promise<{ readonly since: string } | undefined>
  /**
   * Returns how the schema differs from before; undefined where that cannot be known. Also records why the
   * uncommitted migration fails, for the service's status.
   */
  finish(failure: Failure | undefined): Promise<readonly Difference[] | undefined>
  /** Reads the schema while nothing else is to be done, so that the next recording begins sooner. */
  prepare(): Promise<void>
}

interface Begun {
  readonly since: string
  readonly comments: Comments
}

/** Creates a recorder that uses this session; the mask removes secrets from the message of a failure. */
export function createRecorder(client: Queryable, mask: (text: string) => string): Recorder {
  let isKnown = false
  let hasBegun = false
  let comments: Comments = {}

  /** A schema that was never recorded is not recorded from the middle of its history on. */
  async function isRecorded(): Promise<boolean> {
    const { format, problem } = await readRecorderState(client)
    if (problem !== undefined || format !== RECORD_FORMAT) return false
    const { rows } = await client.query(
      `select from provisioning.recorded_object where moment = 'after' limit 1`,
    )
    return rows.length > 0
  }

  return {
    async begin() {
      hasBegun = false
      try {
        isKnown ||= await isRecorded()
        if (!isKnown) return undefined
        const results = await client.query(BEGIN_SQL)
        hasBegun = true
        const begun = (results as unknown as readonly { rows: Begun[] }[]).at(-1)?.rows[0]
        comments = begun?.comments ?? {}
        return begun
      } catch {
        isKnown = false
        return undefined
      }
    },
    async finish(failure) {
      if (!hasBegun) return undefined
      try {
        const results = await client.query(
          finishSql(failure && { ...failure, message: mask(failure.message) }),
        )
        const [read, changes] = (results as unknown as readonly { rows: unknown[] }[]).slice(-2)
        const described = describeAll((changes?.rows ?? []) as ObjectDifference[])
        const after = (read?.rows[0] as Begun | undefined)?.comments ?? {}
        // Of an object that changed, they need no line of their own.
        return described.length > 0 ? described : await describeComments(client, comments, after)
      } catch {
        return undefined
      }
    },
    async prepare() {
      // What prevents it prevents the next recording, too.
      if (hasBegun) await client.query(PREPARE_SQL).catch(() => {})
    },
  }
}

const LOCK_TIMEOUT = `set local lock_timeout = '2s'`

const STAMP = `(${DEFINITIONS_STAMP_SQL})::text`

const BEGIN_SQL = [
  LOCK_TIMEOUT,
  'lock table provisioning.recorded_schema in exclusive mode',
  KEEP_COMMITTED_SQL,
  sql`
    do $$
    begin
      -- Migrations that were interrupted are continued by begin_recording alone.
      if not exists (select from provisioning.recorded_schema where moment = 'before')
         and exists (select
                       from provisioning.recorded_object
                      where moment = 'idle'
                        and kind = 'stamp'
                        and name = ${STAMP}) then
        delete from provisioning.recorded_object where moment = 'before';
        update provisioning.recorded_object set moment = 'before' where moment = 'idle' and kind <> 'stamp';
        perform provisioning.date_record('before', provisioning.list_schemas());
      else
        perform provisioning.begin_recording();
      end if;
      delete from provisioning.recorded_object where moment = 'idle';
    end
    $$`,
  FORGET_UNDONE_SQL,
  `delete from provisioning.recorded_object where moment = 'saved'`,
  sql`
    insert into provisioning.recorded_object (moment, ${RECORDED_COLUMNS})
    select 'saved', ${RECORDED_COLUMNS} from provisioning.recorded_object where moment = 'after'`,
  sql`select (pg_snapshot_xmax(pg_current_snapshot())::text::numeric % 4294967296)::text as since,
          ${COMMENTS_SQL} as comments`,
].join(';\n')

const finishSql = (failure: Failure | undefined) =>
  [
    LOCK_TIMEOUT,
    'select provisioning.finish_recording()',
    recordFailureSql(failure && { message: failure.message, ...placeOf(failure) }),
    `select ${COMMENTS_SQL} as comments`,
    changesSinceSql(`'saved'`),
  ].join(';\n')

function placeOf({ place }: Failure) {
  return place && { file: place.file, line: place.line }
}

const PREPARE_SQL = sql`
  do $$
  declare
    -- Before the objects: what changes after it changes the next stamp, too.
    v_stamp constant text := ${STAMP};
  begin
    perform provisioning.record_objects('idle', provisioning.list_schemas());
    insert into provisioning.recorded_object (moment, ${RECORDED_COLUMNS})
    values ('idle', 'stamp', v_stamp, null, null, '{}', 0, 0, 0);
  end
  $$`
