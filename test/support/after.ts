// Run by tap after the last test file: leaves nothing of the run behind.
import { setTimeout as sleep } from 'node:timers/promises'
import { dropTemplate } from './postgres.ts'
import { forgetServer, loadServer } from './server.ts'

const server = loadServer()
if (server.watcherPid === undefined) await dropTemplate()
else await stop(server.watcherPid)
forgetServer()

async function stop(watcherPid: number): Promise<void> {
  try {
    process.kill(watcherPid, 'SIGTERM')
    while (process.kill(watcherPid, 0)) await sleep(20)
  } catch {
    // ESRCH: it has ended, and the server before it.
  }
}
