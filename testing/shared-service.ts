import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceAddress, TestEnvironment } from './environment.ts'
import { withLock } from './lock.ts'
import { isAlive, isRunningWith } from './processes.ts'
import { findRunFolder, type RunFolder } from './run-folder.ts'
import { startService } from './start-service.ts'

const LOCK_MS = 180_000
const END_MS = 30_000
const ANSWER_MS = 5000
const PAUSE_MS = 50

/**
 * Returns the service of this test run, and starts it if no process of the run has. It runs on the embedded
 * PostgreSQL until the runner has ended, however that ends. With `verify`, the service has to answer.
 */
export async function acquireSharedService(
  { settings, runnerPid }: Pick<TestEnvironment, 'settings' | 'runnerPid'>,
  { verify = false } = {},
): Promise<ServiceAddress> {
  assertLends(settings)
  const folder = findRunFolder(settings)
  const record = folder.readRecord()
  const isKnown = record?.address !== undefined && folder.hasUser(runnerPid) && isAlive(record.pid)
  if (isKnown && !verify) return record.address
  return withLock(
    folder.lockFile,
    async () => {
      const running = await findRunning(folder)
      // An earlier service has removed its users with everything else.
      folder.addUser(runnerPid)
      return running ?? startService(folder, settings)
    },
    { waitMs: LOCK_MS },
  )
}

/** Throws if the service would lend nothing: its answer would be that of a service without these routes. */
function assertLends({ TEST_DATABASES_MAX: max }: TestEnvironment['settings']): void {
  if (!max?.trim() || Number(max) !== 0) return
  throw new Error(
    `TEST_DATABASES_MAX is ${max}, so the service that the tests start would lend no database: unset it, or set it ` +
      'above 0; for a service that is running, set COMMANDBUS_DB_URL and TEST_DATABASES_TOKEN',
  )
}

/** The service that the record names, if it answers; one that is ending is waited for. */
async function findRunning(folder: RunFolder): Promise<ServiceAddress | undefined> {
  const record = folder.readRecord()
  if (record === undefined || !isRunningWith(record.pid, folder.path)) return undefined
  if (record.address !== undefined && (await isAnswering(record.address))) return record.address
  const deadline = performance.now() + END_MS
  while (isRunningWith(record.pid, folder.path)) {
    if (performance.now() > deadline) {
      throw new Error(
        `the service that an earlier test run started does not answer and does not end; end process ${record.pid}`,
      )
    }
    await sleep(PAUSE_MS)
  }
  return undefined
}

async function isAnswering({ url }: ServiceAddress): Promise<boolean> {
  try {
    const { ok } = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(ANSWER_MS) })
    return ok
  } catch {
    return false
  }
}
