import { setTimeout as sleep } from 'node:timers/promises'
import { withLock } from './lock.ts'
import type { RunFolder } from './run-folder.ts'

const CHECK_MS = 200
/** A script may run one test file after another. */
const LINGER_MS = 1000
const LOCK_MS = 60_000

/** Calls `stop`, once, when no user of the service has been alive for a second. */
export async function stopWhenUnused(folder: RunFolder, stop: () => void): Promise<void> {
  let usedAt = performance.now()
  while (true) {
    if (folder.listUsers().length > 0) usedAt = performance.now()
    else if (performance.now() - usedAt > LINGER_MS && (await retire(folder))) return stop()
    await sleep(CHECK_MS, undefined, { ref: false })
  }
}

/** Withdraws the record, unless a new user came first: users come only with the lock. */
async function retire(folder: RunFolder): Promise<boolean> {
  try {
    return await withLock(
      folder.lockFile,
      async () => {
        if (folder.listUsers().length > 0) return false
        folder.writeRecord({ pid: process.pid })
        return true
      },
      { waitMs: LOCK_MS },
    )
  } catch {
    // The folder was removed: nobody can find this service any more.
    return true
  }
}
