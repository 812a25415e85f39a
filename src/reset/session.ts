import type { Client } from 'pg'
import { findBaseline, SESSION_SETTINGS } from './baseline.ts'
import { isDisposable, refuseNotDisposable } from './guard.ts'
import { loadModel, type Model } from './model.ts'
import { listForbidden } from './ownership.ts'
import { planReset } from './plan.ts'
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
  return {
    client,
    model,
    async attempt(first, patienceMs) {
      const { rows } = await client.query<{ changes: Changes }>({
        name: 'reset_data',
        text: 'select pg_temp.reset_data($1, $2, false) as changes',
        values: [first, Math.max(1, Math.round(patienceMs))],
      })
      return rows[0]?.changes as Changes
    },
    async isClean() {
      // Looking may lift row security: rolled back.
      await client.query('begin')
      try {
        const { rows } = await client.query<{ isClean: boolean }>(
          `select (pg_temp.reset_data(null, 100, true) ->> 'isClean')::boolean as "isClean"`,
        )
        return rows[0]?.isClean === true
      } finally {
        await client.query('rollback')
      }
    },
  }
}
