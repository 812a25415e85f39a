import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { spawnOptions } from './account.ts'
import type { EmbeddedHome } from './home.ts'
import { describeOwner, OWNER_SETTING, readServerState } from './owner.ts'
import { startError } from './start-error.ts'

/** A server that has accepted connections. */
export interface RunningServer {
  readonly dataDir: string
  /** Resolves when the process has ended. */
  readonly ended: Promise<Ending>
  /** Shuts it down cleanly; after `stopMs`, immediately. */
  stop(stopMs: number): Promise<void>
}

export interface Ending {
  /** The exit code or the signal, in words. */
  readonly how: string
  readonly lastLines: string
}

const POLL_MS = 5
const LONGEST_LOG_BYTES = 1_000_000
/** What is read of the log when the server ends, and how much of that is shown. */
const LONGEST_END_BYTES = 64 * 1024
const MOST_LINES = 20

/** Starts PostgreSQL on the data folder and waits until it accepts connections. */
export async function launchServer(
  home: EmbeddedHome,
  { port, signal }: { port: number; signal: AbortSignal },
): Promise<RunningServer> {
  const logFile = openLog(`${home.dataDir}.log`)
  const server = spawn(join(home.binDir, 'postgres'), listArguments(home, port), {
    ...spawnOptions(home.account),
    stdio: ['ignore', logFile.fd, logFile.fd],
    // In its own session, Ctrl-C in the terminal reaches the service only, which stops the server.
    detached: true,
  })
  closeSync(logFile.fd)
  // However this process ends, it stops the server; only SIGKILL leaves the server running.
  const stopOnExit = () => server.kill('SIGINT')
  process.once('exit', stopOnExit)

  let ending: Ending | undefined
  const ended = waitForEnd(server).then((how) => {
    process.off('exit', stopOnExit)
    ending = { how, lastLines: logFile.readNew() }
    return ending
  })
  const { dataDir } = home
  const running = {
    dataDir,
    ended,
    stop: (stopMs: number) => shutDown(server, ended, stopMs),
  }
  const isReady = () => {
    const state = readServerState(home.dataDir)
    return state?.pid === server.pid && state?.status === 'ready'
  }
  while (!isReady()) {
    if (ending !== undefined) throw startError(ending.how, ending.lastLines)
    if (signal.aborted) {
      await running.stop(0)
      throw signal.reason
    }
    await sleep(POLL_MS)
  }
  return running
}

function listArguments({ dataDir, extensionDir }: EmbeddedHome, port: number): string[] {
  const settings = {
    port,
    // Not reachable from other machines, nor by a socket file that another user could create first.
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    extension_control_path: `$system:${extensionDir}`,
    // A function with a shadowed variable or an assignment of the wrong length fails here, before production.
    'plpgsql.extra_errors': 'all',
    [OWNER_SETTING]: describeOwner(),
  }
  return [
    '-D',
    dataDir,
    ...Object.entries(settings).flatMap(([name, to]) => ['-c', `${name}=${to}`]),
  ]
}

function openLog(path: string): { fd: number; readNew: () => string } {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants
  const fd = openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600)
  if (fstatSync(fd).size > LONGEST_LOG_BYTES) ftruncateSync(fd)
  const start = fstatSync(fd).size
  return {
    fd,
    readNew() {
      try {
        return pickLastLines(readEnd(path, start))
      } catch (error) {
        // It may have been removed together with the data folder.
        return `its log cannot be read: ${(error as Error).message}`
      }
    },
  }
}

/** The end of the file, as far as the server that started at `start` wrote it. */
function readEnd(path: string, start: number): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { size } = fstatSync(fd)
    const from = Math.max(start, size - LONGEST_END_BYTES)
    const end = Buffer.alloc(Math.max(0, size - from))
    readSync(fd, end, 0, end.length, from)
    return end.toString()
  } finally {
    closeSync(fd)
  }
}

/** The last lines of a server log, without the statements of clients, which may hold a secret. */
export function pickLastLines(log: string): string {
  return log
    .replace(/^[^\t\n]*\b(?:STATEMENT|QUERY|CONTEXT): .*(?:\n\t.*)*\n?/gm, '')
    .trimEnd()
    .split('\n')
    .slice(-MOST_LINES)
    .join('\n')
}

function waitForEnd(server: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    server.once('error', (error) => resolve(error.message))
    server.once('exit', (exitCode, signal) =>
      resolve(
        signal === null ? `it ended with exit code ${exitCode}` : `it was ended by ${signal}`,
      ),
    )
  })
}

/** SIGINT disconnects all clients and writes a checkpoint; SIGQUIT leaves recovery to the next start. */
async function shutDown(
  server: ChildProcess,
  ended: Promise<Ending>,
  stopMs: number,
): Promise<void> {
  server.kill('SIGINT')
  const timer = setTimeout(() => server.kill('SIGQUIT'), stopMs)
  await ended
  clearTimeout(timer)
}
