import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceAddress } from './environment.ts'
import type { RunFolder } from './run-folder.ts'

const PROGRAM = join(import.meta.dirname, 'run-service.js')
const PACKAGE_DIR = join(import.meta.dirname, '..', '..')
const READY_MS = 120_000
const PAUSE_MS = 25
/** Another process may take the port that was found free. */
const ATTEMPTS = 3

/** Starts the service on its embedded PostgreSQL, waits until it is ready, and records it in the folder. */
export async function startService(
  folder: RunFolder,
  settings: Readonly<Record<string, string>>,
): Promise<ServiceAddress> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(folder, settings)
    } catch (error) {
      if (!(error instanceof PortTakenError) || attempt === ATTEMPTS) throw error
    }
  }
}

class PortTakenError extends Error {}

async function start(
  folder: RunFolder,
  settings: Readonly<Record<string, string>>,
): Promise<ServiceAddress> {
  const token = randomBytes(24).toString('base64url')
  // In a file: some systems show the environment of a process to other users.
  writeFileSync(folder.tokenFile, token, { mode: 0o600 })
  const log = openSync(folder.logFile, 'w', 0o600)
  const child = spawn(process.execPath, [PROGRAM, folder.path], {
    cwd: folder.path,
    env: {
      // For as many workers as there are processors, each with one database for itself and one for a test.
      TEST_DATABASES_MAX: String(Math.max(8, 2 * availableParallelism() + 2)),
      MIGRATIONS_DIR: join(PACKAGE_DIR, 'migrations'),
      ...settings,
      HOST: '127.0.0.1',
      PORT: '0',
      EMBEDDED_DATA_DIR: folder.dataDir,
      EMBEDDED_PORT: String(await findFreePort()),
      TEST_DATABASES_TOKEN_FILE: folder.tokenFile,
    },
    stdio: ['ignore', log, log],
    // It belongs to the run rather than to the process that was first, and Ctrl-C is the runner's.
    detached: true,
  })
  closeSync(log)
  child.unref()
  if (child.pid === undefined) await once(child, 'spawn')
  const pid = child.pid ?? 0
  folder.writeRecord({ pid })
  const address = { url: await waitUntilReady(child, folder), token }
  folder.writeRecord({ pid, address })
  return address
}

async function waitUntilReady(child: ChildProcess, folder: RunFolder): Promise<string> {
  const deadline = performance.now() + READY_MS
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) throw startError(folder, 'ended')
    const [, url] = /"listening at (http:[^"]+)"/.exec(readLog(folder)) ?? []
    if (url !== undefined && (await isReady(url))) return url
    await sleep(PAUSE_MS)
  }
  child.kill()
  throw startError(folder, `was not ready within ${READY_MS / 1000} s`)
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`)).ok
  } catch {
    return false
  }
}

function startError(folder: RunFolder, happened: string): Error {
  const lines = readLog(folder).trimEnd().split('\n')
  const last = lines.findLast((line) => /"level":"(fatal|error)"/.test(line)) ?? lines.at(-1) ?? ''
  const { code, message } = parseError(last)
  const text = `the service for the test databases ${happened}: ${message}; its log is ${folder.logFile}`
  return code === 'embedded_port_in_use' ? new PortTakenError(text) : new Error(text)
}

function parseError(line: string): { code?: string; message: string } {
  try {
    const { err, msg } = JSON.parse(line)
    return { code: err?.code, message: err?.message ?? msg }
  } catch {
    return { message: line }
  }
}

function readLog({ logFile }: RunFolder): string {
  try {
    return readFileSync(logFile, 'utf8')
  } catch {
    return ''
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
