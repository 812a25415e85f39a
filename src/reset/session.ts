import type { Client } from 'pg'
import {
  type DatabaseIdentity,
  isDisposable,
  notDisposableError,
  readThisDatabase,
} from '../baseline/disposable.ts'
import { type BaselineSchema, loadBaselineSchema } from '../baseline/schema.ts'
import { listAppliedSeeds, type StoredSeed } from '../baseline/seeds.ts'
import { findBaseline } from '../baseline/store.ts'
import { queueTablesOf } from '../catalog/queues.ts'
import { NO_OTHER_SCHEMAS, type OtherSchemas } from '../catalog/scope.ts'
import { readDeadlockTimeoutMs } from '../postgres/deadlock-timeout.ts'
import { applyResetSettings, INHERITED_SEARCH_PATH_SQL } from '../postgres/session-settings.ts'
import { noBaselineError, notOwnerError, temporaryPrivilegeError } from './errors.ts'
import { generateResetFunction, type ResetOutcome } from './function/generate.ts'
import type { Attempt, LockScope } from './lock-retry.ts'
import { listForbidden } from './privileges.ts'
import { compareSeeds } from './seeds.ts'

/** What one reset changed. */
export interface Changes {
  readonly tables: { readonly emptied: string[]; readonly restored: string[] }
  readonly sequences: string[]
  readonly queues: { readonly emptied: string[]; readonly dropped: string[] }
  readonly partitions: { readonly dropped: string[] }
}

export interface ResetSessionOptions {
  /** Opens a connection for resets only: PostgreSQL keeps function plans per connection. */
  readonly connect: () => Promise<Client>
  readonly database: DatabaseIdentity
  /** The seeds as their files are now. Default: there are none. */
  readonly readSeeds?: () => readonly StoredSeed[]
  /** Default: no other tool has schemas in the database. */
  readonly others?: OtherSchemas
}

/** A connection with the reset function on it. */
export interface ResetSession {
  readonly client: Client
  readonly schema: BaselineSchema
  /** Those that have run. */
  readonly seeds: readonly StoredSeed[]
  /** Calls the function, which resets or throws: one round trip. */
  attempt(attempt: Attempt): Promise<Changes>
  /** True if a reset would find nothing to do. */
  isClean(): Promise<boolean>
}

interface Connection {
  readonly client: Client
  /** The setting of the role and the database, for which the migrations' functions are written. */
  readonly searchPath: string
}

/** Keeps one connection with one reset function on it, and creates both when they are needed. */
export function createResetSessions({
  connect,
  database,
  others = NO_OTHER_SCHEMAS,
  readSeeds = () => [],
}: ResetSessionOptions) {
  let connection: Promise<Connection> | undefined
  let session: Promise<ResetSession> | undefined
  let lastSchema: BaselineSchema | undefined

  async function openConnection(): Promise<Connection> {
    const client = await connect()
    const own = connection
    const forget = () => {
      if (connection === own) connection = session = undefined
    }
    client.on('error', forget)
    client.on('end', forget)
    const { rows } = await client.query<{ path: string }>(
      `select (${INHERITED_SEARCH_PATH_SQL}) as path`,
    )
    await applyResetSettings(client)
    return { client, searchPath: rows[0]?.path ?? '' }
  }

  function ensureConnection(): Promise<Connection> {
    connection ??= openConnection().catch((error) => {
      connection = undefined
      throw error
    })
    return connection
  }

  return {
    others,
    /** Lists the seeds whose files are not those that have run. */
    findChangedSeeds: ({ seeds }: ResetSession) => compareSeeds(seeds, readSeeds()),
    /** Throws if the database is not disposable or has no baseline. */
    async open(): Promise<ResetSession> {
      const connected = await ensureConnection()
      session ??= createSession(connected, database, others).then(
        (created) => {
          lastSchema = created.schema
          return created
        },
        (error) => {
          session = undefined
          throw error
        },
      )
      return session
    },
    /** The relations to search for blockers: the last known ones, if no session can be opened. */
    async findScope(): Promise<LockScope> {
      const { tables = [], materializedViews = [] } = lastSchema ?? {}
      const oids = [...tables, ...materializedViews].map(({ oid }) => oid)
      return { client: (await ensureConnection()).client, oids }
    },
    /** The next `open` generates the function again. */
    forgetFunction(): void {
      session = undefined
    },
    async close(): Promise<void> {
      const closing = connection
      connection = session = undefined
      await closing?.then(({ client }) => client.end()).catch(() => {})
    },
  }
}

export type ResetSessions = ReturnType<typeof createResetSessions>

async function createSession(
  { client, searchPath }: Connection,
  database: DatabaseIdentity,
  others: OtherSchemas,
): Promise<ResetSession> {
  if (!(await isDisposable(client))) throw notDisposableError(database)
  const baseline = await findBaseline(client)
  if (baseline === undefined) throw noBaselineError()
  await assertMayReset(client, database, others)

  const seeds = await listAppliedSeeds(client)
  const schema = await loadBaselineSchema(client, others)
  const lockWaitMs = await readLockWaitMs(client)
  const thisDatabase = await readThisDatabase(client)
  await client.query(
    generateResetFunction({ baseline, thisDatabase, schema, searchPath, lockWaitMs }),
  )
  let known: ResetOutcome['known'] | undefined
  return {
    client,
    schema,
    seeds,
    async attempt({ lockFirst, lockTimeoutMs }) {
      const { rows } = await client.query<{ outcome: ResetOutcome }>({
        name: 'reset_data',
        text: 'select pg_temp.reset_data($1, $2, $3, false) as outcome',
        values: [lockFirst, Math.max(1, Math.round(lockTimeoutMs)), known && JSON.stringify(known)],
      })
      const outcome = rows[0]?.outcome as ResetOutcome
      known = outcome.known
      return describeChanges(schema, outcome)
    },
    async isClean() {
      // Rolled back, because detecting changes may lift row security.
      await client.query('begin')
      try {
        const { rows } = await client.query<{ outcome: ResetOutcome }>(
          'select pg_temp.reset_data(null, 100, null, true) as outcome',
        )
        return rows[0]?.outcome.isClean === true
      } finally {
        await client.query('rollback')
      }
    },
  }
}

async function assertMayReset(
  client: Client,
  database: DatabaseIdentity,
  others: OtherSchemas,
): Promise<void> {
  const { rows } = await client.query<{ hasTemporary: boolean }>(
    `select has_database_privilege(current_database(), 'temporary') as "hasTemporary"`,
  )
  if (!rows[0]?.hasTemporary) throw temporaryPrivilegeError(database.name)
  const forbidden = await listForbidden(client, others)
  if (forbidden.length > 0) throw notOwnerError(forbidden)
}

/**
 * How long the function may wait for a lock while it holds others: less than deadlock_timeout, so that no
 * session becomes a deadlock victim.
 */
async function readLockWaitMs(client: Client): Promise<number> {
  return Math.max(1, Math.round(0.4 * (await readDeadlockTimeoutMs(client))))
}

/** Maps table and sequence numbers to names, and the two tables of a queue to the queue. */
function describeChanges(schema: BaselineSchema, outcome: ResetOutcome): Changes {
  const queueOf = new Map(
    (schema.queues ?? []).flatMap((queue) => queueTablesOf(queue).map((table) => [table, queue])),
  )
  const tablesOf = (numbers: readonly number[]) =>
    numbers
      .flatMap((number) => schema.tables[number - 1] ?? [])
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const emptied = tablesOf(outcome.dirty).filter((table) => !table.hasRows)
  const restored = tablesOf(outcome.restored).filter((table) => table.hasRows)
  const queues = emptied.flatMap((table) => queueOf.get(table.name) ?? [])
  return {
    tables: {
      emptied: emptied.map((table) => table.name).filter((name) => !queueOf.has(name)),
      restored: restored.map((table) => table.name),
    },
    sequences: outcome.sequences.flatMap((number) => schema.sequences[number - 1]?.name ?? []),
    queues: { emptied: [...new Set(queues)].sort(), dropped: [...outcome.droppedQueues] },
    partitions: { dropped: [...(outcome.droppedPartitions ?? [])] },
  }
}
