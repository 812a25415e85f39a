import { randomInt } from 'node:crypto'
import type { Client } from 'pg'
import { createSerialSession } from '../postgres/serial-session.ts'

/** The first halves of advisory locks; the second is a keeper's number, or a template's. */
const KEEPER_LOCKS = 1_934_571_121
const TEMPLATE_LOCKS = 1_934_571_122

/** True where the keeper of the row is a service that runs. */
export const IS_KEPT_SQL = `exists (
  select from pg_catalog.pg_locks
   where locktype = 'advisory' and classid = ${KEEPER_LOCKS} and objid = keeper::oid and objsubid = 2 and granted)`

/**
 * This service, as the others see it. Its session holds a lock with its number and creates and drops all
 * databases: PostgreSQL releases the lock only when nothing that this service began is still running, even
 * if the service was killed.
 */
export interface Keeper {
  readonly number: number
  /** Runs statements on that session, behind all earlier ones. */
  run<T>(work: (client: Client) => Promise<T>): Promise<T>
  /** Locks a template so that it stays; false while another service makes or drops it. */
  tryUse(template: string): Promise<boolean>
  /** Locks a template alone, to make or drop it; false while another service uses it. */
  tryOwn(template: string): Promise<boolean>
  stopUsing(template: string): Promise<void>
  stopOwning(template: string): Promise<void>
  close(): Promise<void>
}

/** Creates the keeper; `open` opens a session that may create databases. */
export function createKeeper(open: () => Promise<Client>): Keeper {
  const number = randomInt(1, 2 ** 31 - 1)
  const inUse = new Set<string>()
  const session = createSerialSession({
    open,
    async onOpen(client) {
      // Waits for the end of what an earlier session of this service was running.
      await callLock(client, 'pg_advisory_lock', KEEPER_LOCKS, number)
      for (const template of inUse) {
        await callLock(client, 'pg_try_advisory_lock_shared', TEMPLATE_LOCKS, numberOf(template))
      }
    },
  })
  const call = (name: string, template: string) =>
    session.run((client) => callLock(client, name, TEMPLATE_LOCKS, numberOf(template)))
  return {
    number,
    run: session.run,
    async tryUse(template) {
      if (inUse.has(template)) return true
      const isLocked = await call('pg_try_advisory_lock_shared', template)
      if (isLocked) inUse.add(template)
      return isLocked
    },
    tryOwn: (template) => call('pg_try_advisory_lock', template),
    async stopUsing(template) {
      if (inUse.delete(template)) await call('pg_advisory_unlock_shared', template)
    },
    async stopOwning(template) {
      await call('pg_advisory_unlock', template)
    },
    close: session.close,
  }
}

/** A template's key is a hash in hexadecimal digits. */
function numberOf(template: string): number {
  return Number.parseInt(template.slice(0, 7), 16)
}

async function callLock(client: Client, name: string, group: number, number: number) {
  const { rows } = await client.query<{ isLocked: boolean }>(
    `select pg_catalog.${name}($1::int, $2::int)::text = 'true' as "isLocked"`,
    [group, number],
  )
  return rows[0]?.isLocked === true
}
