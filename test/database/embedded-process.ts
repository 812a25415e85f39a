import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildSync } from 'esbuild'
import pg from 'pg'
import { identifyProcess } from '../../src/database/embedded/process.ts'
import { projectDir } from '../support/server.ts'

interface Teardown {
  teardown(work: () => unknown): unknown
}

/** A line that embedded-service.ts has said. */
export interface Said {
  readonly state?: 'ready' | 'closed' | 'refused' | 'stopped'
  readonly code?: string
  readonly message?: string
  readonly url?: string
  readonly pid?: number
  readonly kept?: readonly string[]
}

/** embedded-service.ts as a process of its own. */
export interface ServiceProcess {
  readonly pid: number
  readonly url: string
  /** Settles when the process has ended, with its exit code or signal. */
  readonly ended: Promise<number | string>
  readonly said: readonly Said[]
  /** Waits for a line; fails when the process ends without it. */
  until(matches: (line: Said) => boolean): Promise<Said>
  stop(): Promise<number | string>
}

export interface ServiceOptions {
  readonly dataDir: string
  readonly port: number
  readonly script?: string
  readonly account?: { readonly uid: number; readonly gid: number }
  readonly umask?: string
}

/** Bundled once, so that a start costs what it costs the service and not a compiler's time. */
export function buildService(outfile: string): string {
  buildSync({
    entryPoints: [join(projectDir, 'test/database/embedded-service.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['pg-native'],
    // pg is CommonJS, and requires Node.js's own modules.
    banner: {
      js: "import { createRequire as requireHere } from 'node:module'; const require = requireHere(import.meta.url)",
    },
  })
  return outfile
}

/** A folder that any user may enter, gone after the test. */
export function createFolder(t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'embedded-test-'))
  execFileSync('chmod', ['755', folder])
  // A server that is just being killed may still write.
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }))
  return folder
}

/** Starts the service in a process group of its own; whatever the test leaves of it is killed. */
export function startService(t: Teardown, options: ServiceOptions): ServiceProcess {
  const script = options.script ?? sharedScript()
  // The shell sheds what tap would have every Node.js below it load.
  const child = spawn(
    '/bin/sh',
    [
      '-c',
      'umask $0; unset NODE_OPTIONS; exec "$@"',
      options.umask ?? '022',
      process.execPath,
      script,
      options.dataDir,
      String(options.port),
    ],
    {
      ...options.account,
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH },
      cwd: '/',
    },
  )
  const said = collectLines(child)
  const ended = new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (exitCode, signal) => resolve(exitCode ?? String(signal)))
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
    // One that was refused has no server; the folder's is somebody else's.
    if (said.at(-1)?.state !== 'refused') killIfAlive(readServerPid(options.dataDir), 'SIGQUIT')
  })
  return {
    pid: child.pid ?? 0,
    url: `postgres://postgres:postgres@127.0.0.1:${options.port}/commandbus`,
    ended,
    said,
    async until(matches) {
      let end: number | string | undefined
      void ended.then((how) => {
        end = how
      })
      while (true) {
        const line = said.find(matches)
        if (line !== undefined) return line
        if (end !== undefined) {
          throw new Error(`ended with ${end} after saying ${JSON.stringify(said)}`)
        }
        await sleep(10)
      }
    },
    stop() {
      child.kill('SIGTERM')
      return ended
    },
  }
}

export const isReady = (line: Said): boolean => line.state === 'ready'

/** Undefined where no server runs, or none has cleaned up behind itself. */
export function readServerPid(dataDir: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8'), 10)
  } catch {
    return undefined
  }
}

/** Runs one statement on the server that `url` names. */
export async function query(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

export async function waitUntil(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20)
}

export function isAlive(pid: number): boolean {
  return identifyProcess(pid) !== undefined
}

export function readOwner(pid: number | undefined): number {
  return process.platform === 'linux'
    ? statSync(`/proc/${pid}`).uid
    : Number(execFileSync('ps', ['-o', 'uid=', '-p', String(pid)]))
}

function killIfAlive(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid !== undefined && isAlive(pid)) process.kill(pid, signal)
}

let builtScript: string | undefined

function sharedScript(): string {
  if (builtScript !== undefined) return builtScript
  const folder = join(projectDir, '.data', 'test')
  mkdirSync(folder, { recursive: true })
  builtScript = buildService(join(folder, `embedded-service-${process.pid}.mjs`))
  process.once('exit', () => rmSync(builtScript ?? '', { force: true }))
  return builtScript
}

function collectLines(child: ChildProcess): Said[] {
  const said: Said[] = []
  let rest = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = `${rest}${text}`.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) said.push(JSON.parse(line))
  })
  return said
}
