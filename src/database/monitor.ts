import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import type { Log } from '../logger.ts'
import { openClient } from '../postgres/client.ts'
import { describeError } from '../postgres/errors.ts'

/** Together less than the two seconds within which a lost database has to show. */
const INTERVAL_MS = 500
const TIMEOUT_MS = 1000

export interface MonitorOptions {
  /** Includes the password. */
  readonly url: string
  /** Receives what is wrong with the database, or undefined once nothing is. */
  readonly onChange: (problem: string | undefined) => void
  /** Runs on every new connection: describes the problem if this is not the expected database. */
  readonly verify: (client: Client) => Promise<string | undefined>
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * Checks the database twice a second over its own connection until the signal aborts. Only one
 * check runs at a time, so a server that is recovering is not flooded with connections.
 */
export async function monitorDatabase({
  url,
  onChange,
  verify,
  log,
  signal,
}: MonitorOptions): Promise<void> {
  let client: Client | undefined
  let isVerified = false
  let problem: string | undefined
  const report = (found: string | undefined) => {
    if (found === problem) return
    if (problem === undefined) log.warn({ reason: found }, 'database lost')
    if (found === undefined) log.info('database back')
    problem = found
    onChange(found)
  }

  while (!signal.aborted) {
    try {
      client ??= await connect(url, (error) => report(describeError(error)))
      if (isVerified) await client.query('select 1')
      const mismatch: string | undefined = isVerified ? undefined : await verify(client)
      isVerified = mismatch === undefined
      report(mismatch)
    } catch (error) {
      report(describeError(error))
      void client?.end().catch(() => {})
      client = undefined
      isVerified = false
    }
    await sleep(INTERVAL_MS, undefined, { signal, ref: false }).catch(() => {})
  }
  await client?.end().catch(() => {})
}

/** Calls `onLost` as soon as an idle connection breaks, without waiting for the next check. */
async function connect(url: string, onLost: (error: Error) => void): Promise<Client> {
  const client = await openClient(url, 'monitor', { timeoutMs: TIMEOUT_MS })
  client.on('error', onLost)
  return client
}
