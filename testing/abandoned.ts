import { clearInterval, setInterval } from 'node:timers'
import { countConnections, giveBack } from './requests.ts'
import type { RunFolder } from './run-folder.ts'

const CHECK_MS = 500

/** Gives back, again and again, what processes of the run have borrowed that ended without a release. */
export function giveBackRepeatedly(folder: RunFolder): () => void {
  let isRunning = false
  const timer = setInterval(async () => {
    if (isRunning) return
    isRunning = true
    // What fails is tried again, and runs out in the end.
    await giveBackAbandoned(folder).catch(() => {})
    isRunning = false
  }, CHECK_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** One round of it. A database with sessions in it is still in use, such as by a child of the process. */
export async function giveBackAbandoned(folder: RunFolder): Promise<void> {
  const service = folder.readRecord()?.address
  if (service === undefined) return
  for (const id of folder.listAbandoned()) {
    if ((await countConnections(service, id)) > 0) continue
    await giveBack(service, id)
    folder.removeLease(id)
  }
}
