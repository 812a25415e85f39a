import {
  closeSync,
  constants,
  existsSync,
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

/** Twice a second, so that a folder that is gone shows within two. */
const HEARTBEAT_MS = 500
/** How long another container's service is given to show that it lives. */
const LISTEN_MS = 3000
const FAST_SHUTDOWN_MS = 10_000

/**
 * Describes this process as the owner of a server. The text goes into the server's command line, so
 * PostgreSQL, which decides between services that start at once, records it in postmaster.opts.
 */
export function describeOwner(): string {
  return [process.pid, findPidNamespace(), identifyProcess(process.pid)].join('/')
}

/** The server setting that names its owner. */
export const OWNER_SETTING = 'service.owner'

/**
 * Touches postmaster.opts twice a second, for services in other containers, which cannot see this
 * process. Calls `onGone` once if the folder was removed, moved or replaced: PostgreSQL itself looks
 * only once a minute.
 */
export function startHeartbeat(dataDir: string, onGone: () => void): NodeJS.Timeout {
  const { ino } = statSync(dataDir)
  const heartbeat = setInterval(() => {
    try {
      utimesSync(join(dataDir, 'postmaster.opts'), new Date(), new Date())
    } catch {
      // The folder may be gone, or only this file.
    }
    const isThere = existsSync(join(dataDir, 'PG_VERSION')) && statSync(dataDir).ino === ino
    if (isThere) return
    clearInterval(heartbeat)
    onGone()
  }, HEARTBEAT_MS)
  return heartbeat.unref()
}

/**
 * Makes sure that no server runs on the folder. Stops a server that outlived its service, clears
 * what a killed server left, and throws if a live service owns the folder.
 */
export async function releaseDataFolder(dataDir: string, log: Log): Promise<void> {
  const serverPid = await readSettledPid(dataDir)
  if (serverPid === undefined) return
  const owner = readOwner(dataDir)
  if (owner !== undefined && owner.namespace !== findPidNamespace()) {
    if (await hasHeartbeat(dataDir))
      throw inUseError(dataDir, 'a live service in another container')
    replaceServerPid(dataDir)
  } else if (!isServerOf(serverPid, dataDir)) {
    // PostgreSQL would take any process with this pid for its server, even a zombie.
    replaceServerPid(dataDir)
  } else if (owner === undefined) {
    throw inUseError(dataDir, `a PostgreSQL that no service started, pid ${serverPid}`)
  } else if (identifyProcess(owner.pid) === owner.identity) {
    throw inUseError(dataDir, `the service with pid ${owner.pid}`)
  } else {
    log.warn({ pid: serverPid, ownerPid: owner.pid }, 'stopping a server that outlived its service')
    await stopServer(serverPid)
  }
}

/** What a server, running or killed, wrote to its postmaster.pid. */
export function readServerState(
  dataDir: string,
): { pid: number; port: number; status: string } | undefined {
  try {
    const lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')
    const pid = Number.parseInt(lines[0] ?? '', 10)
    if (Number.isNaN(pid)) return undefined
    return { pid, port: Number(lines[3]), status: lines[7]?.trim() ?? '' }
  } catch {
    return undefined
  }
}

/** Waits until a starting server has recorded its owner, which it does before its status. */
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
 * Writes this process's pid to postmaster.pid: PostgreSQL ignores the pid of its own parent process
 * there. The file stays, because it names the shared memory by which PostgreSQL detects that
 * processes of the old server are still running.
 */
function replaceServerPid(dataDir: string): void {
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

async function hasHeartbeat(dataDir: string): Promise<boolean> {
  const read = () => statSync(join(dataDir, 'postmaster.opts')).mtimeMs
  const before = read()
  const deadline = Date.now() + LISTEN_MS
  while (Date.now() < deadline) {
    if (read() !== before) return true
    await sleep(100)
  }
  return false
}

async function stopServer(pid: number): Promise<void> {
  const identity = identifyProcess(pid)
  const deadline = Date.now() + FAST_SHUTDOWN_MS
  process.kill(pid, 'SIGINT')
  while (identifyProcess(pid) === identity) {
    // Immediate shutdown, without a checkpoint; the next start recovers.
    if (Date.now() > deadline) process.kill(pid, 'SIGQUIT')
    await sleep(20)
  }
}

function inUseError(dataDir: string, owner: string): ServiceError {
  return new ServiceError(
    'embedded_data_dir_in_use',
    `the embedded server's data folder ${dataDir} is in use by ${owner}; ` +
      'stop it, or give this service its own EMBEDDED_DATA_DIR and EMBEDDED_PORT',
    { extensions: { dataDir } },
  )
}
