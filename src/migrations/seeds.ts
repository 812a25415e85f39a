import type { Client } from 'pg'
import type { Log } from '../logger.ts'
import { applicationName } from '../postgres/application-name.ts'
import type { Queryable } from '../postgres/client.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import { retryConnecting } from '../postgres/retry.ts'
import type { Seed } from './files/seeds.ts'
import { runSqlFile, SqlFileError } from './sql-file.ts'
import { cancelSessions, describeSession } from './tool/cancel.ts'
import { seedFailedError } from './tool/failure.ts'
import { PLAIN_PATH, UNDO } from './tool/leftovers.ts'
import { MAX_NOTICES } from './tool/messages.ts'
import type { ToolSettings } from './tool/settings.ts'

export interface SeedsOptions {
  /** Opens a session as applications have it, for one seed. */
  readonly open: (purpose: string) => Promise<SessionClient>
  /** How long to try for one. */
  readonly waitMs: number
  /** Cancels a seed over a connection of its own, when `signal` aborts. */
  readonly pool: Queryable
  /** Those of the migrations: `createToolSettings` makes them from `.gmrc`. */
  readonly settings: Pick<ToolSettings, 'placeholders' | 'pgSettings'>
  /** Runs at the end of each seed's transaction, such as to record it. Default: nothing. */
  readonly record?: (client: Client, seed: Seed) => Promise<void>
  readonly log: Log
  readonly signal: AbortSignal
}

const PURPOSE = 'seed'

/**
 * Runs seeds one after another, each in a session and a transaction of its own. Throws `seed_failed` with the
 * file and the line; that seed is then rolled back, and those before it stay.
 */
export async function runSeeds(seeds: readonly Seed[], options: SeedsOptions): Promise<void> {
  const { log, signal } = options
  for (const [index, seed] of seeds.entries()) {
    signal.throwIfAborted()
    const startedAt = performance.now()
    await runSeed(seed, options)
    const durationMs = Math.round(performance.now() - startedAt)
    log.info({ seed: seed.filename, durationMs }, `seed ${index + 1} of ${seeds.length} run`)
  }
}

async function runSeed(seed: Seed, options: SeedsOptions): Promise<void> {
  const { open, waitMs, pool, settings, record, log, signal } = options
  const client = await retryConnecting(() => open(PURPOSE), { waitMs, log, signal })
  const session = describeSession(applicationName(PURPOSE), client)
  const cancel = () => void cancelSessions(pool, session, log)
  signal.addEventListener('abort', cancel, { once: true })
  logNotices(client, seed, log)
  try {
    await client.query('begin')
    await runSqlFile(client, seed, settings)
    await client.query([...UNDO, PLAIN_PATH].join(';\n'))
    await record?.(client, seed)
    await client.query('commit')
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof SqlFileError ? seedFailedError(seed, error.report) : error
  } finally {
    signal.removeEventListener('abort', cancel)
    await client.end().catch(() => {})
  }
}

/** Tries seeds in the transaction that is open on this session, and that the caller rolls back. */
export async function trySeeds(
  session: Client,
  seeds: readonly Seed[],
  settings: SeedsOptions['settings'],
): Promise<void> {
  for (const seed of seeds) {
    await runSqlFile(session, seed, settings).catch((error) => {
      if (!(error instanceof SqlFileError)) throw error
      throw seedFailedError(seed, { ...error.report, isTrial: true })
    })
  }
}

function logNotices(client: Client, { filename: seed }: Seed, log: Log): void {
  let notices = 0
  client.on('notice', ({ severity, message: notice }) => {
    if (++notices > MAX_NOTICES) return
    log[severity === 'WARNING' ? 'warn' : 'info']({ seed, notice }, 'notice from a seed')
    if (notices === MAX_NOTICES) log.info({ seed }, 'further notices are not logged')
  })
}
