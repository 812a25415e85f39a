import type { Queryable } from '../../postgres/client.ts'
import type { SessionClient } from '../../postgres/connection/client.ts'

const INTERVAL_MS = 1000
/** Shorter waits are not looked into. */
const SUSPICIOUS_MS = 2000

/** Calls `onWaiting` once a second while a statement runs and nothing has arrived for two. */
export function reportWaiting(client: SessionClient, onWaiting: (pid: number) => void): void {
  const state = client as unknown as {
    readonly readyForQuery: boolean
    readonly connection: { readonly stream: NodeJS.EventEmitter }
  }
  let heardAt = performance.now()
  const hear = () => {
    heardAt = performance.now()
  }
  state.connection.stream.on('data', hear)
  const timer = setInterval(() => {
    if (state.readyForQuery) hear()
    const isSuspicious = performance.now() - heardAt > SUSPICIOUS_MS
    if (isSuspicious && client.backendPid !== undefined) onWaiting(client.backendPid)
  }, INTERVAL_MS)
  timer.unref()
  client.once('end', () => clearInterval(timer))
}

export interface LossWatchOptions {
  readonly pool: Queryable
  /** Adds a listener for the loss of all sessions; returns a function that removes it. */
  readonly onEndAll?: ((listener: (reason: string) => void) => () => void) | undefined
}

/** Notices that the tool waits for an answer that will not come. */
export interface LossWatch {
  onLost(listener: (reason: string) => void): void
  /** The tool waits: asks the server, in another session, whether this backend has anything to do. */
  check(backendPid: number): void
  stop(): void
}

export function createLossWatch({ pool, onEndAll }: LossWatchOptions): LossWatch {
  let report = (_reason: string) => {}
  let isChecking = false
  const remove = onEndAll?.((reason) => report(reason))

  async function isIdle(backendPid: number): Promise<boolean> {
    const { rowCount } = await pool.query(
      `select from pg_catalog.pg_stat_activity
        where pid = $1
          and (state = 'active' or pg_catalog.clock_timestamp() - state_change < interval '1 second')`,
      [backendPid],
    )
    return rowCount === 0
  }
  return {
    onLost(listener) {
      report = listener
    },
    check(backendPid) {
      if (isChecking) return
      isChecking = true
      isIdle(backendPid)
        .then((isSilent) => {
          if (isSilent) report("the database no longer answers in the migration's session")
        })
        // Whatever is wrong with the database shows where it is used.
        .catch(() => {})
        .finally(() => {
          isChecking = false
        })
    },
    stop() {
      remove?.()
    },
  }
}
