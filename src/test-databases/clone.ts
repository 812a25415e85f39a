import { setTimeout as sleep } from 'node:timers/promises'
import { markDisposable } from '../baseline/disposable.ts'
import {
  CATALOGS_SQL,
  definitionVersionsSql,
  otherVersionsSql,
  TABLES_BESIDE_SQL,
  tableVersionsSql,
} from '../catalog/versions.ts'
import { readWholeFingerprint } from '../catalog/whole-fingerprint.ts'
import type { Queryable } from '../postgres/client.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import { sql } from '../postgres/sql-text.ts'
import { resetData } from '../reset/data.ts'
import { createResetSessions } from '../reset/session.ts'
import { readDatabaseLevel } from './database-level.ts'
import { setAllowed } from './leases.ts'
import type { TestDatabase } from './rows.ts'
import { openIn, type TestServer } from './server.ts'
import type { Template } from './template.ts'

/** A copy of a template that this service made, and can clean. */
export interface Clone {
  readonly row: TestDatabase
  readonly template: Template
  /** Makes a new copy one that can be lent and cleaned. Nobody can enter it afterwards. */
  prepare(): Promise<void>
  /** Makes it again what it was; returns why that is not possible, or undefined. */
  clean(): Promise<string | undefined>
  /** Closes the session that is kept in it; the next cleaning opens another. */
  leave(): Promise<void>
}

/** What changes when anything is written: the numbers are those of row versions. */
interface Versions {
  readonly definitions: string
  readonly others: string
  readonly tables: string
}

/** How long a session that a borrower has closed may take to end. */
const GOODBYE_MS = 1000
const POLL_MS = 5
/** Nothing blocks a reset in a database that nobody else is in. */
const LOCK_TIMEOUT_MS = 1000

export function createClone(server: TestServer, row: TestDatabase, template: Template): Clone {
  const { database } = server
  const identity = { name: row.name, host: database.host, port: database.port }
  const sessions = createResetSessions({ connect, database: identity })
  let isNew = true
  /** As prepared: nothing of it is read from the database again. */
  let settings: string | undefined
  let versions: Versions | undefined
  let queries: VersionQueries | undefined

  /** Only this session may come in. */
  async function connect(): Promise<SessionClient> {
    if (!isNew) await setAllowed(database.pool, row.name, true)
    const client = await openIn(server, row.name)
    await setAllowed(database.pool, row.name, false)
    // What is lost in a crash was cleaned before the lease that follows was written to the same log.
    await client.query('set synchronous_commit = off')
    if (isNew) await markDisposable(client)
    isNew = false
    return client
  }

  async function reset(): Promise<void> {
    await resetData(sessions, identity, {
      lockTimeoutMs: LOCK_TIMEOUT_MS,
      terminateBlockers: false,
    })
  }

  async function readOwnPid(): Promise<number> {
    const { client } = await sessions.open()
    return (client as SessionClient).backendPid ?? 0
  }

  async function waitUntilAlone(): Promise<string | undefined> {
    const deadline = performance.now() + GOODBYE_MS
    while (true) {
      const level = await readDatabaseLevel(database.pool, row, await readOwnPid())
      if (level === undefined) return 'it was dropped or renamed'
      if (settings !== undefined && level.settings !== settings) return 'its settings were changed'
      if (level.sessions === 0) {
        settings = level.settings
        return undefined
      }
      if (performance.now() > deadline) return 'a session or a prepared transaction is left in it'
      await sleep(POLL_MS)
    }
  }

  return {
    row,
    template,
    async prepare() {
      const { client } = await sessions.open()
      // The first reset is the slow one: PostgreSQL plans its statements.
      await reset()
      queries = await createVersionQueries(client)
      versions = await queries.readAll(client)
      const problem = await waitUntilAlone()
      if (problem !== undefined) throw new Error(`a new test database cannot be used: ${problem}`)
    },
    async clean() {
      if (queries === undefined || versions === undefined) return 'it was never prepared'
      await setAllowed(database.pool, row.name, false)
      const { client } = await sessions.open()
      const problem = await waitUntilAlone()
      if (problem !== undefined) return problem
      const before = await queries.readAll(client)
      if (before.tables !== versions.tables)
        return 'a table that a reset leaves alone was written to'
      await reset()
      const after = await queries.readAfterReset(client)
      // A row that was written need not say anything else: then every definition is compared.
      const isSame =
        !template.hasLargeObjects &&
        before.definitions === versions.definitions &&
        before.others === versions.others
      if (!isSame) {
        const startedAt = performance.now()
        const { objects } = await readWholeFingerprint(client)
        const durationMs = Math.round(performance.now() - startedAt)
        server.log.debug({ database: row.name, durationMs }, 'compared all definitions')
        if (objects !== template.fingerprint)
          return 'its definitions, privileges or comments differ'
      }
      versions = { ...before, ...after }
      return undefined
    },
    leave: () => sessions.close(),
  }
}

interface VersionQueries {
  readAll(client: Queryable): Promise<Versions>
  /** Without what a reset never writes. */
  readAfterReset(client: Queryable): Promise<Omit<Versions, 'others'>>
}

async function createVersionQueries(client: Queryable): Promise<VersionQueries> {
  const listNames = async (query: string) => {
    const { rows } = await client.query<{ name: string }>(query)
    return rows.map(({ name }) => name)
  }
  const catalogs = await listNames(CATALOGS_SQL)
  const afterReset = sql`
    (${definitionVersionsSql(catalogs)})::text as definitions,
    (${tableVersionsSql(await listNames(TABLES_BESIDE_SQL))})::text as tables`
  const all = sql`
    ${afterReset},
    (${otherVersionsSql(catalogs)})::text as others`
  const read = async <T extends object>(name: string, columns: string) => {
    const { rows } = await client.query<T>({ name, text: `select ${columns}` })
    return rows[0] as T
  }
  return {
    readAll: () => read<Versions>('read_all_versions', all),
    readAfterReset: () => read<Omit<Versions, 'others'>>('read_versions_after_reset', afterReset),
  }
}
