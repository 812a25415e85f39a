import type { Client } from 'pg'
import { type DatabaseIdentity, isDisposable, notDisposableError } from '../baseline/disposable.ts'
import { type BaselineSchema, loadBaselineSchema } from '../baseline/schema.ts'
import { findBaseline } from '../baseline/store.ts'
import { queueTablesOf } from '../catalog/queues.ts'
import { applyResetSettings } from '../postgres/session-settings.ts'
import { refuseForbidden, refuseNoBaseline, refuseTemporary } from './errors.ts'
import { type Outcome, planReset } from './function/generate.ts'
import type { LockScope } from './lock-retry.ts'
import { listForbidden } from './privileges.ts'

/** The changes of one reset. */
export interface Changes {
  readonly tables: { readonly emptied: string[]; readonly restored: string[] }
  readonly sequences: string[]
  readonly queues: { readonly emptied: string[]; readonly dropped: string[] }
}

export interface ResetSessionOptions {
  /** Opens a connection that serves resets only: PostgreSQL keeps plans per connection. */
  readonly connect: () => Promise<Client>
  readonly database: DatabaseIdentity
}

export interface ResetSession {
  /** The connection and the function on it, made where they are missing. */
  readonly client: Client
  readonly model: BaselineSchema
  /** One attempt, in one round trip. */
  attempt(first: string | undefined, patienceMs: number): Promise<Changes>
  /** True where a reset would find nothing to do. */
  isClean(): Promise<boolean>
}

interface Connection {
  readonly client: Client
  /** As the role and the database have it: what functions of the migrations are written for. */
  readonly searchPath: string
}

/** Keeps one connection with a function that holds the plans of a reset, and makes both as needed. */
export function createResetSessions({ connect, database }: ResetSessionOptions) {
  let connection: Promise<Connection> | undefined
  let session: Promise<ResetSession> | undefined
  let lastModel: BaselineSchema | undefined

  async function openConnection(): Promise<Connection> {
    const opened = await connect()
    const own = connection
    const forget = () => {
      if (connection === own) connection = session = undefined
    }
    opened.on('error', forget)
    opened.on('end', forget)
    const { rows } = await opened.query<{ path: string }>(
      `select pg_catalog.current_setting('search_path') as path`,
    )
    await applyResetSettings(opened)
    return { client: opened, searchPath: rows[0]?.path ?? '' }
  }

  function lendConnection(): Promise<Connection> {
    connection ??= openConnection().catch((error) => {
      connection = undefined
      throw error
    })
    return connection
  }

  return {
    /** Throws where the database may not be reset, or has nothing to be reset to. */
    async open(): Promise<ResetSession> {
      const connected = await lendConnection()
      session ??= planSession(connected, database).then(
        (planned) => {
          lastModel = planned.model
          return planned
        },
        (error) => {
          session = undefined
          throw error
        },
      )
      return session
    },
    /** Where to ask who is in the way; of a database that cannot be planned for, as it was last known. */
    async findScope(): Promise<LockScope> {
      const { tables = [], materializedViews = [] } = lastModel ?? {}
      const oids = [...tables, ...materializedViews].map(({ oid }) => oid)
      return { client: (await lendConnection()).client, oids }
    },
    /** The next `open` writes the function anew. */
    forgetPlan(): void {
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

async function planSession(
  { client, searchPath }: Connection,
  database: DatabaseIdentity,
): Promise<ResetSession> {
  if (!(await isDisposable(client))) throw notDisposableError(database)
  const baseline = await findBaseline(client)
  if (baseline === undefined) throw refuseNoBaseline()
  const { rows: rights } = await client.query<{ temporary: boolean }>(
    `select has_database_privilege(current_database(), 'temporary') as temporary`,
  )
  if (!rights[0]?.temporary) throw refuseTemporary(database.name)
  const forbidden = await listForbidden(client)
  if (forbidden.length > 0) throw refuseForbidden(forbidden)

  const model = await loadBaselineSchema(client)
  const { rows } = await client.query<{ giveWayMs: number }>(
    `select greatest(1, setting::int * 0.4)::int as "giveWayMs"
       from pg_settings where name = 'deadlock_timeout'`,
  )
  const giveWayMs = rows[0]?.giveWayMs ?? 100
  await client.query(planReset({ baseline, model, searchPath, giveWayMs }))
  let stamps: readonly string[] | undefined
  return {
    client,
    model,
    async attempt(first, patienceMs) {
      const { rows } = await client.query<{ outcome: Outcome }>({
        name: 'reset_data',
        text: 'select pg_temp.reset_data($1, $2, $3, false) as outcome',
        values: [first, Math.max(1, Math.round(patienceMs)), stamps],
      })
      const outcome = rows[0]?.outcome as Outcome
      stamps = outcome.stamps
      return describeChanges(model, outcome)
    },
    async isClean() {
      // Looking may lift row security: rolled back.
      await client.query('begin')
      try {
        const { rows } = await client.query<{ outcome: Outcome }>(
          'select pg_temp.reset_data(null, 100, null, true) as outcome',
        )
        return rows[0]?.outcome.isClean === true
      } finally {
        await client.query('rollback')
      }
    },
  }
}

/** In the words of whoever asked: names for numbers, a queue for its two tables. */
function describeChanges(model: BaselineSchema, outcome: Outcome): Changes {
  const queueOf = new Map(
    (model.queues ?? []).flatMap((queue) => queueTablesOf(queue).map((table) => [table, queue])),
  )
  const tablesOf = (numbers: readonly number[]) =>
    numbers
      .flatMap((number) => model.tables[number - 1] ?? [])
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const emptied = tablesOf(outcome.dirty).filter((table) => !table.hasRows)
  const restored = tablesOf(outcome.mended).filter((table) => table.hasRows)
  const queues = emptied.flatMap((table) => queueOf.get(table.name) ?? [])
  return {
    tables: {
      emptied: emptied.map((table) => table.name).filter((name) => !queueOf.has(name)),
      restored: restored.map((table) => table.name),
    },
    sequences: outcome.sequences.flatMap((number) => model.sequences[number - 1]?.name ?? []),
    queues: { emptied: [...new Set(queues)].sort(), dropped: [...outcome.dropped] },
  }
}
