import { randomBytes, randomInt } from 'node:crypto'
import type { Queryable } from '../postgres/client.ts'

export type State = 'creating' | 'ready' | 'lent' | 'returned' | 'dropping'

/** A database that a service made for tests, as the table lists it. */
export interface TestDatabase {
  readonly oid: number
  readonly name: string
  /** The key of the template that it is, or was copied from. */
  readonly template: string
  readonly isTemplate: boolean
  /** The service that made it and may clean it. */
  readonly keeper: number
  readonly state: State
}

/** The columns of a TestDatabase. */
export const COLUMNS = `oid, name, template, is_template as "isTemplate", keeper, state`

/** True where the row was written in this very database; the table may have been copied with it. */
const IS_HERE = `server = (select system_identifier from pg_catalog.pg_control_system())
  and home = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())`

/** PostgreSQL numbers its own databases below. */
const FIRST_OID = 2 ** 30
const LAST_OID = 2 ** 32

/** Forgets databases that are those of another service: this table came with a copy of its database. */
export async function forgetCopiedRows(client: Queryable): Promise<number> {
  const { rowCount } = await client.query(
    `delete from provisioning.test_database where not (${IS_HERE})`,
  )
  return rowCount ?? 0
}

export interface NewDatabase {
  /** Begins the name, for people. */
  readonly home: string
  readonly template: string
  readonly isTemplate: boolean
  readonly keeper: number
}

/** Lists a database that is about to be created, with a name and an oid that never were in use. */
export async function addDatabase(
  client: Queryable,
  { home, template, isTemplate, keeper }: NewDatabase,
): Promise<TestDatabase> {
  const readable = home.replace(/[^a-z0-9]+/gi, '_').slice(0, 30)
  const name = `${readable}_${isTemplate ? 'template' : 'test'}_${randomBytes(8).toString('hex')}`
  const { rows } = await client.query<TestDatabase>(
    `insert into provisioning.test_database
            (oid, name, server, home, template, is_template, keeper, state)
     select $1, $2, system_identifier, pg_database.oid, $3, $4, $5, 'creating'
       from pg_catalog.pg_control_system(), pg_catalog.pg_database
      where datname = pg_catalog.current_database()
     returning ${COLUMNS}`,
    [randomInt(FIRST_OID, LAST_OID), name, template, isTemplate, keeper],
  )
  return rows[0] as TestDatabase
}

/**
 * Moves a database to another state, unless it has left this one; returns whether it was moved. Does not
 * wait for the disk: after a crash, the state before leads to the same again. Only one that is being created
 * would stay so.
 */
export async function moveDatabase(
  client: Queryable,
  { oid, keeper, state }: Pick<TestDatabase, 'oid' | 'keeper' | 'state'>,
  to: { readonly state: State; readonly keeper?: number; readonly fingerprint?: string },
): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'move_database',
    text: `update provisioning.test_database
              set state = $4, keeper = $5, fingerprint = coalesce($6, fingerprint), changed_at = now(),
                  lease_id = null
            where oid = $1 and keeper = $2 and state = $3
           returning case when $3 <> 'creating' then pg_catalog.set_config('synchronous_commit', 'off', true) end`,
    values: [oid, keeper, state, to.state, to.keeper ?? keeper, to.fingerprint],
  })
  return rowCount === 1
}

/** Reads the state that a database has now; undefined where it is not listed. */
export async function readState(client: Queryable, oid: number): Promise<State | undefined> {
  const { rows } = await client.query<{ state: State }>(
    'select state from provisioning.test_database where oid = $1',
    [oid],
  )
  return rows[0]?.state
}

/** Forgets a database that does not exist any more, or is not ours. */
export async function removeDatabase(client: Queryable, oid: number): Promise<void> {
  await client.query('delete from provisioning.test_database where oid = $1', [oid])
}
