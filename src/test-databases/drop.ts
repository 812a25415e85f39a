import { escapeIdentifier, escapeLiteral } from 'pg'
import type { Queryable } from '../postgres/client.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import { setAllowed } from './leases.ts'
import { removeDatabase, type TestDatabase } from './rows.ts'
import { openIn, type TestServer } from './server.ts'

/** What the server says about a database, under the name that it has now. */
interface Found {
  readonly name: string
  readonly isTemplate: boolean
  /** Prepared transactions and subscriptions, which even `with (force)` does not end. */
  readonly holds: number
}

/**
 * Ends every session in a database that is to be dropped, drops it, and forgets it. One that is not ours
 * any more is only forgotten, and reported.
 */
export async function dropDatabase(server: TestServer, row: TestDatabase): Promise<void> {
  const { database, keeper, log } = server
  // If this service has lost its session while that created the database: waits until it is there.
  await keeper.run(async () => {})
  const found = await find(database.pool, row.oid)
  if (found !== undefined) {
    if (found.name !== row.name && !(await isMarked(server, found.name, row))) {
      log.warn(
        { database: found.name, madeAs: row.name },
        'a database was renamed and no longer says that it is a test database: it is left alone',
      )
    } else {
      if (found.holds > 0) await endHolds(server, found.name)
      await keeper.run(async (client) => {
        const name = escapeIdentifier(found.name)
        if (found.isTemplate) await client.query(`alter database ${name} with is_template false`)
        await client.query(`drop database if exists ${name} with (force)`)
      })
    }
  }
  await removeDatabase(database.pool, row.oid)
}

async function find(client: Queryable, oid: number): Promise<Found | undefined> {
  const { rows } = await client.query<Found>(
    `select datname as name, datistemplate as "isTemplate",
            ((select count(*) from pg_catalog.pg_prepared_xacts where database = datname)
             + (select count(*) from pg_catalog.pg_subscription where subdbid = pg_database.oid)
             + (select count(*) from pg_catalog.pg_replication_slots where database = datname))::int as holds
       from pg_catalog.pg_database
      where oid = $1`,
    [oid],
  )
  return rows[0]
}

/** Whether the database itself names the row: a borrower has renamed it. */
async function isMarked(server: TestServer, name: string, row: TestDatabase): Promise<boolean> {
  return withSession(server, name, async (client) => {
    const { rows } = await client.query<{ isMarked: boolean }>(
      `select exists (
         select from provisioning.disposable
          where database_oid = $1 and database_name = $2
            and database_oid = (select oid from pg_catalog.pg_database
                                 where datname = pg_catalog.current_database())) as "isMarked"`,
      [row.oid, row.name],
    )
    return rows[0]?.isMarked === true
  }).catch(() => false)
}

/** Rolls back prepared transactions, and drops subscriptions and replication slots. */
async function endHolds(server: TestServer, name: string): Promise<void> {
  await withSession(server, name, async (client) => {
    const { rows: prepared } = await client.query<{ gid: string }>(
      `select gid from pg_catalog.pg_prepared_xacts
        where database = pg_catalog.current_database()`,
    )
    for (const { gid } of prepared) await client.query(`rollback prepared ${escapeLiteral(gid)}`)
    const { rows: subscriptions } = await client.query<{ name: string }>(
      `select subname as name
         from pg_catalog.pg_subscription
         join pg_catalog.pg_database on pg_database.oid = subdbid
        where datname = pg_catalog.current_database()`,
    )
    for (const subscription of subscriptions) {
      const identifier = escapeIdentifier(subscription.name)
      await client.query(`alter subscription ${identifier} disable`)
      await client.query(`alter subscription ${identifier} set (slot_name = none)`)
      await client.query(`drop subscription ${identifier}`)
    }
    await client.query(
      `select pg_catalog.pg_terminate_backend(active_pid, 1000)
         from pg_catalog.pg_replication_slots
        where database = pg_catalog.current_database() and active_pid is not null`,
    )
    await client.query(
      `select pg_catalog.pg_drop_replication_slot(slot_name)
         from pg_catalog.pg_replication_slots
        where database = pg_catalog.current_database()`,
    )
  })
}

/** Enters a database whatever its borrower has set on it. */
async function withSession<T>(
  server: TestServer,
  name: string,
  work: (client: SessionClient) => Promise<T>,
): Promise<T> {
  await server.keeper.run(async (admin) => {
    await setAllowed(admin, name, true)
    await admin.query(`alter database ${escapeIdentifier(name)} with connection limit -1`)
  })
  const client = await openIn(server, name)
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}
