import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { markDisposable } from '../baseline/disposable.ts'
import { readWholeFingerprint } from '../catalog/whole-fingerprint.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import { resetBy } from '../reset/data.ts'
import { createResetSessions } from '../reset/session.ts'
import {
  type Cleaning,
  callCleanFunction,
  createCleanFunction,
  readVersions,
  type Versions,
} from './clean-function.ts'
import { setAllowed } from './leases.ts'
import type { TestDatabase } from './rows.ts'
import { openIn, type TestServer } from './server.ts'
import { shrinkTables } from './shrink.ts'
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

/** How long a session that a borrower has closed may take to end. */
const GOODBYE_MS = 1000
const POLL_MS = 5
/** Nothing blocks a reset in a database that nobody else is in. */
const LOCK_TIMEOUT_MS = 1000
/** So many cleanings; looking for tables that have grown takes a tenth of one. */
const SHRINK_EVERY = 8

export function createClone(server: TestServer, row: TestDatabase, template: Template): Clone {
  const { database } = server
  const identity = { name: row.name, host: database.host, port: database.port }
  const sessions = createResetSessions({ connect, database: identity })
  let isNew = true
  /** As last cleaned: nothing of it is read from the database again. */
  let versions: Versions | undefined
  let cleanings = 0
  /** The session that has the function. */
  let cleaner: Client | undefined

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

  /** Cleans it as soon as nobody else is in it; returns what was found, or why that is not possible. */
  async function cleanWhenAlone(): Promise<Required<Cleaning> | string> {
    const deadline = performance.now() + GOODBYE_MS
    while (true) {
      const cleaning = await tryToClean()
      if (cleaning.isOpen === null) return 'it was dropped or renamed'
      if (hasRun(cleaning)) return cleaning
      if (cleaning.before !== undefined) {
        return cleaning.before.settings !== versions?.settings
          ? 'its settings were changed'
          : 'a table that a reset leaves alone was written to'
      }
      if (performance.now() > deadline) return 'a session or a prepared transaction is left in it'
      // Its time ran out, or another service took it back.
      if (cleaning.isOpen) await setAllowed(database.pool, row.name, false)
      else await sleep(POLL_MS)
    }
  }

  async function tryToClean(): Promise<Cleaning> {
    const lock = { lockTimeoutMs: LOCK_TIMEOUT_MS, terminateBlockers: false }
    const { result } = await resetBy(sessions, identity, lock, async ({ client }, attempt) => {
      if (cleaner !== client) await createCleanFunction(client, row)
      cleaner = client
      return callCleanFunction(client, attempt, versions)
    })
    return result
  }

  async function openClient(): Promise<Client> {
    return (await sessions.open()).client
  }

  async function hasSameDefinitions(): Promise<boolean> {
    const startedAt = performance.now()
    const { objects } = await readWholeFingerprint(await openClient())
    const durationMs = Math.round(performance.now() - startedAt)
    server.log.debug({ database: row.name, durationMs }, 'compared all definitions')
    return objects === template.fingerprint
  }

  return {
    row,
    template,
    async prepare() {
      const cleaning = await cleanWhenAlone()
      if (typeof cleaning === 'string') {
        throw new Error(`a new test database cannot be used: ${cleaning}`)
      }
      versions = await readVersions(await openClient())
    },
    async clean() {
      if (versions === undefined) return 'it was never prepared'
      const cleaning = await cleanWhenAlone()
      if (typeof cleaning === 'string') return cleaning
      // A row that was written need not say anything else: then every definition is compared.
      const isSame = !template.hasLargeObjects && cleaning.before.catalogs === versions.catalogs
      if (!isSame && !(await hasSameDefinitions()))
        return 'its definitions, privileges or comments differ'
      versions = cleaning.after ?? (await readVersions(await openClient()))
      cleanings += 1
      if (cleanings % SHRINK_EVERY === 0) await shrinkTables(await openClient())
      return undefined
    },
    leave: () => sessions.close(),
  }
}

function hasRun(cleaning: Cleaning): cleaning is Required<Cleaning> {
  return cleaning.isReset === true
}
