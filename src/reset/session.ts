import type { Client } from 'pg'
import { findBaseline, SESSION_SETTINGS } from './baseline.ts'
import { isDisposable, refuseNotDisposable } from './guard.ts'
import { loadModel, type Model, queueTablesOf } from './model.ts'
import { listForbidden } from './ownership.ts'
import { type Outcome, planReset } from './plan.ts'
import { refuseForbidden, refuseNoBaseline } from './refusals.ts'

/** The changes of one reset. */
export interface Changes {
  readonly tables: { readonly emptied: string[]; readonly restored: string[] }
  readonly sequences: string[]
  readonly queues: { readonly emptied: string[]; readonly dropped: string[] }
}

export interface ResetSessionOptions {
  /** Opens a connection that serves resets only: PostgreSQL keeps plans per connection. */
  readonly connect: () => Promise<Client>
  readonly databaseName: string
}

export interface ResetSession {
  /** The connection and the function on it, made where they are missing. */
  readonly client: Client
  readonly model: Model
  /** One attempt, in one round trip. */
  attempt(first: string | undefined, patienceMs: number): Promise<Changes>
  /** True where a reset would find nothing to do. */
  isClean(): Promise<boolean>
}

/** Keeps one connection with a function that holds the plans of a reset, and makes both as needed. */
export function createResetSessions({ connect, databaseName }: ResetSessionOptions) {
  let client: Promise<Client> | undefined
  let session: Promise<ResetSession> | undefined

  async function openConnection(): Promise<Client> {
    const opened = await connect()
    const own = client
    const forget = () => {
      if (client === own) client = session = undefined
    }
    opened.on('error', forget)
    opened.on('end', forget)
    const settings = {
      ...SESSION_SETTINGS,
      default_transaction_isolation: 'read committed',
      default_transaction_read_only: 'off',
    }
    for (const [name, value] of Object.entries(settings)) {
      await opened.query('select set_config($1, $2, false)', [name, value])
    }
    return opened
  }

  return {
    /** Throws where the database may not be reset, or has nothing to be reset to. */
    async open(): Promise<ResetSession> {
      client ??= openConnection().catch((error) => {
        client = undefined
        throw error
      })
      const connected = await client
      session ??= planSession(connected, databaseName).catch((error) => {
        session = undefined
        throw error
      })
      return session
    },
    /** The next `open` writes the function anew. */
    forgetPlan(): void {
      session = undefined
    },
    async close(): Promise<void> {
      const closing = client
      client = session = undefined
      await closing?.then((opened) => opened.end()).catch(() => {})
    },
  }
}

export type ResetSessions = ReturnType<typeof createResetSessions>

async function planSession(client: Client, databaseName: string): Promise<ResetSession> {
  if (!(await isDisposable(client))) throw refuseNotDisposable(databaseName)
  const baseline = await findBaseline(client)
  if (baseline === undefined) throw refuseNoBaseline()
  const forbidden = await listForbidden(client)
  if (forbidden.length > 0) throw refuseForbidden(forbidden)

  const model = await loadModel(client)
  const { rows } = await client.query<{ giveWayMs: number }>(
    `select greatest(1, setting::int * 0.4)::int as "giveWayMs"
       from pg_settings where name = 'deadlock_timeout'`,
  )
  await client.query(planReset({ baseline, model, giveWayMs: rows[0]?.giveWayMs ?? 100 }))
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
function describeChanges(model: Model, outcome: Outcome): Changes {
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
