import { setTimeout as sleep } from 'node:timers/promises'
import { markDisposable } from '../baseline/disposable.ts'
import { STORE_SCHEMA } from '../catalog/scope.ts'
import {
  CATALOGS_SQL,
  catalogVersionsSql,
  TABLES_BESIDE_SQL,
  tableVersionsSql,
} from '../catalog/versions.ts'
import { readWholeFingerprint } from '../catalog/whole-fingerprint.ts'
import type { Queryable } from '../postgres/client.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import { sql } from '../postgres/sql-text.ts'
import { resetData } from '../reset/data.ts'
import { createResetSessions } from '../reset/session.ts'
import { databaseSettingsSql, readPresence } from './database-level.ts'
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

/** What changes when anything is written. */
interface Versions {
  readonly catalogs: string
  readonly tables: string
  readonly settings: string
  /** The fingerprints in the baseline; null if the next reset has to compare all definitions. */
  readonly recorded: string | null
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
  /** As last cleaned: nothing of it is read from the database again. */
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

  async function openSession(): Promise<SessionClient> {
    return (await sessions.open()).client as SessionClient
  }

  async function reset(): Promise<void> {
    await resetData(sessions, identity, {
      lockTimeoutMs: LOCK_TIMEOUT_MS,
      terminateBlockers: false,
    })
  }

  /** Keeps new sessions out, and waits until the last one has ended. Returns why that is not possible. */
  async function waitUntilAlone(client: SessionClient): Promise<string | undefined> {
    await setAllowed(database.pool, row.name, false)
    const deadline = performance.now() + GOODBYE_MS
    while (true) {
      const presence = await readPresence(client, row)
      if (presence === undefined) return 'it was dropped or renamed'
      if (presence.isOpen) return 'it was opened to sessions'
      if (presence.sessions === 0) return undefined
      if (performance.now() > deadline) return 'a session or a prepared transaction is left in it'
      await sleep(POLL_MS)
    }
  }

  async function hasSameDefinitions(client: Queryable): Promise<boolean> {
    const startedAt = performance.now()
    const { objects } = await readWholeFingerprint(client)
    const durationMs = Math.round(performance.now() - startedAt)
    server.log.debug({ database: row.name, durationMs }, 'compared all definitions')
    return objects === template.fingerprint
  }

  return {
    row,
    template,
    async prepare() {
      const client = await openSession()
      // The first reset is the slow one: PostgreSQL plans its statements.
      await reset()
      const problem = await waitUntilAlone(client)
      if (problem !== undefined) throw new Error(`a new test database cannot be used: ${problem}`)
      queries = await createVersionQueries(client, row.oid)
      versions = await queries.readAll(client)
    },
    async clean() {
      if (queries === undefined || versions === undefined) return 'it was never prepared'
      const client = await openSession()
      const problem = await waitUntilAlone(client)
      if (problem !== undefined) return problem
      const before = await queries.readAll(client)
      if (before.settings !== versions.settings) return 'its settings were changed'
      if (before.tables !== versions.tables)
        return 'a table that a reset leaves alone was written to'
      await reset()
      const after = await queries.readAfterReset(client)
      // A row that was written need not say anything else: then every definition is compared.
      const isSame = !template.hasLargeObjects && before.catalogs === versions.catalogs
      if (!isSame && !(await hasSameDefinitions(client)))
        return 'its definitions, privileges or comments differ'
      // A reset that wrote to the catalogue has recorded other fingerprints.
      const isCurrent = isSame && after.recorded !== null && after.recorded === versions.recorded
      versions = isCurrent ? { ...before, ...after } : await queries.readAll(client)
      return undefined
    },
    leave: () => sessions.close(),
  }
}

type WrittenByReset = Pick<Versions, 'tables' | 'recorded'>

interface VersionQueries {
  readAll(client: Queryable): Promise<Versions>
  /** Only what every reset may write. */
  readAfterReset(client: Queryable): Promise<WrittenByReset>
}

async function createVersionQueries(client: Queryable, oid: number): Promise<VersionQueries> {
  const listNames = async (query: string) => {
    const { rows } = await client.query<{ name: string }>(query)
    return rows.map(({ name }) => name)
  }
  const afterReset = sql`
    (${tableVersionsSql(await listNames(TABLES_BESIDE_SQL))}) as tables,
    (select objects_fingerprint + parts_fingerprint from ${STORE_SCHEMA}.baseline) as recorded`
  const all = sql`
    ${afterReset},
    (${catalogVersionsSql(await listNames(CATALOGS_SQL))}) as catalogs,
    (${databaseSettingsSql(oid)}) as settings`
  const read = async <T extends object>(name: string, columns: string) => {
    const { rows } = await client.query<T>({ name, text: `select ${columns}` })
    return rows[0] as T
  }
  return {
    readAll: () => read<Versions>('read_all_versions', all),
    readAfterReset: () => read<WrittenByReset>('read_versions_after_reset', afterReset),
  }
}
