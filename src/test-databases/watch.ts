import type { Queryable } from '../postgres/client.ts'
import { describeError } from '../postgres/errors.ts'
import { dropDatabase } from './drop.ts'
import { IS_KEPT_SQL } from './keeper.ts'
import { countDatabases, endExpiredLeases } from './leases.ts'
import type { Pool } from './pool.ts'
import { COLUMNS, moveDatabase, type TestDatabase } from './rows.ts'
import type { TestServer } from './server.ts'

/** A row as a service sees it that looks after the table. */
interface SeenDatabase extends TestDatabase {
  /** The service that made it runs. */
  readonly isKept: boolean
  /** A session wants it for itself, to drop, rename or copy it. */
  readonly isWanted: boolean
  /** No other database of the same template is listed. */
  readonly isLast: boolean
}

export interface WatchOptions {
  readonly server: TestServer
  readonly findPool: (template: string) => Pool | undefined
  /** Whether this service uses the template. */
  readonly isInUse: (template: string) => boolean
  readonly onCounts: (counts: { readonly lent: number; readonly ready: number }) => void
  /** Called when a lease has ended. */
  readonly onFree: () => void
}

/** Looks after all databases that are listed: one call after another. */
export interface Watch {
  check(): Promise<void>
  /** Drops everything of this service that is not lent. */
  dropIdle(): Promise<void>
}

const RETRY_DROP_MS = 10_000

export function createWatch(options: WatchOptions): Watch {
  const { server, findPool } = options
  const { database, keeper, log } = server
  const dropping = new Map<number, Promise<void>>()
  const retryAt = new Map<number, number>()

  function drop(row: TestDatabase): void {
    if (dropping.has(row.oid) || (retryAt.get(row.oid) ?? 0) > Date.now()) return
    const work = dropDatabase(server, row)
      .then(() => void retryAt.delete(row.oid))
      .catch((error) => {
        retryAt.set(row.oid, Date.now() + RETRY_DROP_MS)
        log.warn({ database: row.name, reason: describeError(error) }, 'could not drop a database')
      })
      .finally(() => dropping.delete(row.oid))
    dropping.set(row.oid, work)
  }

  /** A database of this service, or one whose service has ended. */
  async function dropAbandoned(row: SeenDatabase): Promise<void> {
    const next = { state: 'dropping', keeper: keeper.number } as const
    if (await moveDatabase(database.pool, row, next)) drop({ ...row, ...next })
  }

  async function dropOldTemplate(row: SeenDatabase): Promise<void> {
    if (!(await keeper.tryOwn(row.template))) return
    try {
      await dropAbandoned(row)
      await dropping.get(row.oid)
    } finally {
      await keeper.stopOwning(row.template)
    }
  }

  async function lookAt(row: SeenDatabase): Promise<void> {
    const { oid, state, isTemplate, template } = row
    if (isTemplate && state === 'ready') {
      if (row.isLast && !options.isInUse(template)) await dropOldTemplate(row)
      return
    }
    if (row.keeper !== keeper.number) {
      if (!row.isKept && state !== 'lent') await dropAbandoned(row)
      return
    }
    const pool = findPool(template)
    // A template that is not in use any more.
    if (state === 'ready' && pool === undefined) await dropAbandoned(row)
    // The answer to the statement that listed it never came: nothing is creating it.
    if (state === 'creating' && !isTemplate && !pool?.isFilling) await dropAbandoned(row)
    if (state === 'lent') pool?.noteLent(oid)
    else if (state === 'returned' && !pool?.takeBack(oid)) await dropAbandoned(row)
    else if (state === 'dropping') {
      if (pool?.has(oid)) pool.discard(oid)
      else drop(row)
    }
  }

  return {
    async check() {
      if (await endExpiredLeases(database.pool, keeper.number)) options.onFree()
      const rows = await readAll(database.pool)
      for (const row of rows) await lookAt(row)
      const wanted = new Set(rows.filter(({ isWanted }) => isWanted).map(({ oid }) => oid))
      for (const template of new Set(rows.map((row) => row.template))) {
        findPool(template)?.leaveUnused((oid) => wanted.has(oid))
      }
      options.onCounts(await countDatabases(database.pool))
    },
    async dropIdle() {
      for (const row of await readAll(database.pool)) {
        const isKept = row.isTemplate && row.state === 'ready'
        if (row.keeper !== keeper.number || row.state === 'lent' || isKept) continue
        await dropAbandoned(row)
      }
      await Promise.all(dropping.values())
    },
  }
}

async function readAll(client: Queryable): Promise<SeenDatabase[]> {
  const { rows } = await client.query<SeenDatabase>(
    `select ${COLUMNS}, ${IS_KEPT_SQL} as "isKept",
            exists (select from pg_catalog.pg_locks
                     where locktype = 'object'
                       and classid = 'pg_catalog.pg_database'::pg_catalog.regclass
                       and objid = oid
                       and mode in ('ShareLock', 'AccessExclusiveLock')) as "isWanted",
            not exists (select from provisioning.test_database as other
                         where other.template = test_database.template
                           and other.oid <> test_database.oid) as "isLast"
       from provisioning.test_database
      order by changed_at`,
  )
  return rows
}
