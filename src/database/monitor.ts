import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import type { Log } from '../logger.ts'
import { openClient } from '../postgres/client.ts'
import type { Readiness } from '../readiness.ts'

/** Together below the two seconds within which a lost database has to show. */
const INTERVAL_MS = 500
const TIMEOUT_MS = 1000

export interface MonitorOptions {
  /** Of the database; with the password. */
  readonly url: string
  readonly readiness: Pick<Readiness, 'setDatabaseProblem'>
  /** Says what is wrong with what answers, if it is another database than the one that was lost. */
  readonly verify: (client: Client) => Promise<string | undefined>
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * Asks the database twice a second over a connection of its own, and tells the readiness what it
 * finds, until the signal ends it. One attempt at a time: a server that is coming back is not
 * stormed.
 */
export async function monitorDatabase({
  url,
  readiness,
  verify,
  log,
  signal,
}: MonitorOptions): Promise<void> {
  let client: Client | undefined
  let isVerified = false
  let problem: string | undefined
  const report = (found: string | undefined) => {
    if (found !== undefined && problem === undefined) log.warn({ reason: found }, 'database lost')
    if (found === undefined && problem !== undefined) log.info('database back')
    problem = found
    readiness.setDatabaseProblem(found)
  }

  while (!signal.aborted) {
    try {
      client ??= await connect(url, (error) => report(error.message))
      if (isVerified) await client.query('select 1')
      const mistaken: string | undefined = isVerified ? undefined : await verify(client)
      isVerified = mistaken === undefined
      report(mistaken)
    } catch (error) {
      report(describe(error))
      void client?.end().catch(() => {})
      client = undefined
      isVerified = false
    }
    await sleep(INTERVAL_MS, undefined, { signal, ref: false }).catch(() => {})
  }
  await client?.end().catch(() => {})
}

/** A connection that breaks while it is idle says so at once, before the next question. */
async function connect(url: string, onLost: (error: Error) => void): Promise<Client> {
  const client = await openClient(url, 'monitor', { timeoutMs: TIMEOUT_MS })
  client.on('error', onLost)
  return client
}

function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ')
  return error instanceof Error && error.message ? error.message : String(error)
}
