import {
  closeSync,
  constants,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../../errors/service-error.ts'
import type { Log } from '../../logger.ts'
import { findPidNamespace, identifyProcess, readArguments } from './process.ts'

/** A live owner shows itself once in this time to those who cannot see its process. */
const SIGN_OF_LIFE_MS = 1000
const FAST_STOP_MS = 10_000

/**
 * This process as owner of a server. It goes into the server's own command line, so that
 * PostgreSQL, which alone knows who won the data folder, writes it down in postmaster.opts.
 */
export function describeOwner(): string {
  return [process.pid, findPidNamespace(), identifyProcess(process.pid)].join('/')
}

/** The name of the server's setting that holds its owner. */
export const OWNER_SETTING = 'service.owner'

/** Shows those in other containers, who cannot see this process, that it lives. */
export function keepShowingLife(dataDir: string): NodeJS.Timeout {
  return setInterval(() => {
    try {
      utimesSync(join(dataDir, 'postmaster.opts'), new Date(), new Date())
    } catch {
      // The folder was removed under the server; PostgreSQL says so itself.
    }
  }, SIGN_OF_LIFE_MS).unref()
}

/**
 * Makes sure that no server runs on the folder: one that outlived its service is stopped, one that
 * a live service holds is an error, and what a killed one left is made harmless.
 */
export async function releaseDataFolder(dataDir: string, log: Log): Promise<void> {
  const serverPid = await readSettledPid(dataDir)
  if (serverPid === undefined) return
  const owner = readOwner(dataDir)
  if (owner !== undefined && owner.namespace !== findPidNamespace()) {
    if (await showsLife(dataDir)) {
      throw inUse(dataDir, 'a service in another container, which is alive')
    }
    forgetServerPid(dataDir)
  } else if (!isServerOf(serverPid, dataDir)) {
    // PostgreSQL would take whoever has the pid now for its server, even a zombie.
    forgetServerPid(dataDir)
  } else if (owner === undefined) {
    throw inUse(dataDir, `a PostgreSQL that no service started, pid ${serverPid}`)
  } else if (identifyProcess(owner.pid) === owner.identity) {
    throw inUse(dataDir, `the service with pid ${owner.pid}`)
  } else {
    log.warn({ pid: serverPid, ownerPid: owner.pid }, 'stopping a server that outlived its service')
    await stopServer(serverPid)
  }
}

/** What a server, live or killed, has written into its postmaster.pid. */
export function readServerState(dataDir: string): { pid: number; status: string } | undefined {
  try {
    const lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')
    const pid = Number.parseInt(lines[0] ?? '', 10)
    return Number.isNaN(pid) ? undefined : { pid, status: lines[7]?.trim() ?? '' }
  } catch {
    return undefined
  }
}

/** Waits for a server that is starting to write down its owner, which comes before its status. */
async function readSettledPid(dataDir: string): Promise<number | undefined> {
  while (true) {
    const state = readServerState(dataDir)
    if (state === undefined) return undefined
    if (state.status !== '' || identifyProcess(state.pid) === undefined) return state.pid
    if (!isServerOf(state.pid, dataDir)) return state.pid
    await sleep(20)
  }
}

function readOwner(
  dataDir: string,
): { pid: number; namespace: string; identity: string } | undefined {
  try {
    const options = readFileSync(join(dataDir, 'postmaster.opts'), 'utf8')
    const match = /"service\.owner=(\d+)\/(\w+)\/([^"]+)"/.exec(options)
    const [, pid, namespace, identity] = match ?? []
    if (pid === undefined || namespace === undefined || identity === undefined) return undefined
    return { pid: Number(pid), namespace, identity }
  } catch {
    return undefined
  }
}

function isServerOf(pid: number, dataDir: string): boolean {
  const [program = '', ...rest] = readArguments(pid)
  if (basename(program) !== 'postgres') return false
  const folder = rest[rest.indexOf('-D') + 1]
  return !rest.includes('-D') || folder === dataDir
}

/**
 * Puts this process into postmaster.pid, which PostgreSQL takes for stale because it is the parent
 * of the server that is going to be started. The file stays: it names the shared memory by which
 * PostgreSQL finds out whether processes of the old server still live.
 */
function forgetServerPid(dataDir: string): void {
  const flags = constants.O_RDWR | constants.O_NOFOLLOW
  const file = openSync(join(dataDir, 'postmaster.pid'), flags)
  try {
    const [, ...rest] = readFileSync(file, 'utf8').split('\n')
    ftruncateSync(file)
    writeSync(file, [process.pid, ...rest].join('\n'), 0)
  } finally {
    closeSync(file)
  }
}

async function showsLife(dataDir: string): Promise<boolean> {
  const read = () => statSync(join(dataDir, 'postmaster.opts')).mtimeMs
  const before = read()
  const deadline = Date.now() + 3 * SIGN_OF_LIFE_MS
  while (Date.now() < deadline) {
    if (read() !== before) return true
    await sleep(100)
  }
  return false
}

async function stopServer(pid: number): Promise<void> {
  const identity = identifyProcess(pid)
  const deadline = Date.now() + FAST_STOP_MS
  process.kill(pid, 'SIGINT')
  while (identifyProcess(pid) === identity) {
    // At once, without a checkpoint; the next start recovers.
    if (Date.now() > deadline) process.kill(pid, 'SIGQUIT')
    await sleep(20)
  }
}

function inUse(dataDir: string, holder: string): ServiceError {
  return new ServiceError(
    'embedded_data_dir_in_use',
    `the embedded server's data folder ${dataDir} is in use by ${holder}; ` +
      'stop it, or give this service EMBEDDED_DATA_DIR and EMBEDDED_PORT of its own',
    { extensions: { dataDir } },
  )
}
