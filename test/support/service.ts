import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AnswerCheck } from './described.ts'
import { addPassword, findLeaks, listGivenSecrets } from './leaks.ts'
import { projectDir } from './server.ts'

/** What these helpers need of a tap test. */
interface Teardown {
  teardown(work: () => void): unknown
}

export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [key: string]: unknown
}

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape, looked at by the tests.
  readonly body: any
}

/** A service in its own process, as in production. */
export interface Service {
  readonly child: ChildProcess
  /** Everything that it has printed, on both outputs. */
  output(): string
  log(): LogLine[]
  get(path: string): Promise<Answer>
  /** Like `get`, with any method, headers and body. */
  request(path: string, options: RequestInit): Promise<Answer>
  waitForLog(msg: string): Promise<LogLine>
  waitForReady(): Promise<void>
  waitForReason(reason: string): Promise<Answer>
  /** Sends the signal and waits until it has ended. */
  stop(signal?: NodeJS.Signals): Promise<Ending>
  /** How it ended. */
  readonly ended: Promise<Ending>
}

export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const DEADLINE_MS = 90_000

/**
 * Starts the built service with these settings and no other environment variables. Its test fails if
 * anything that it prints or answers shows a secret, or if an answer is not as the service describes it.
 */
export function startService(
  t: Teardown,
  given: Record<string, string>,
  [command, ...args]: readonly [string, ...string[]] = [process.execPath, 'dist/app/server.js'],
): Service {
  const env = Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      /DATABASE_URL$/.test(name) ? addPassword(value) : value,
    ]),
  )
  const secrets = listGivenSecrets(env)
  const child = spawn(command, args, {
    cwd: projectDir,
    env: { PATH: process.env.PATH, PORT: '0', LOG_LEVEL: 'trace', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Its own process group, which a test can signal as a terminal does.
    detached: true,
  })
  let output = ''
  let answers = ''
  const mismatches: string[] = []
  let check: Promise<AnswerCheck> | undefined
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const ended = new Promise<Ending>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  )
  t.teardown(() => {
    killGroup(child)
    const { length } = findLeaks(output + answers, secrets)
    if (length > 0) throw new Error(`the service showed ${length} of its secrets`)
    if (mismatches.length > 0) throw new Error(mismatches.join('\n'))
  })

  // Without the lines that are there only to be searched for secrets.
  const isShown = ({ level }: LogLine) => 'LOG_LEVEL' in env || !/^(trace|debug)$/.test(level)
  const log = () => parseLog(output).filter(isShown)
  const waitFor = async <T>(what: string, find: () => T | Promise<T>): Promise<NonNullable<T>> => {
    const deadline = Date.now() + DEADLINE_MS
    while (Date.now() < deadline) {
      const found = await find()
      if (found) return found as NonNullable<T>
      if (child.exitCode !== null) break
      await sleep(20)
    }
    throw new Error(`no ${what}; exit code ${child.exitCode}; output: ${output}`)
  }
  const waitForLog = (msg: string) =>
    waitFor(`log line "${msg}"`, () => log().find((line) => line.msg.startsWith(msg)))
  const request = async (path: string, options: RequestInit): Promise<Answer> => {
    const { msg } = await waitForLog('listening at')
    const response = await fetch(`${msg.slice('listening at '.length)}${path}`, options)
    const { status, headers } = response
    const text = await response.text()
    answers += `${text}\n`
    check ??= loadCheck()
    const mismatch = (await check)({
      ...{ method: options.method ?? 'GET', url: path, status, body: text },
      headers: Object.fromEntries(headers),
    })
    if (mismatch !== undefined) mismatches.push(mismatch)
    const isJson = /json/.test(headers.get('content-type') ?? '')
    return { status, body: isJson ? JSON.parse(text) : text }
  }
  const get = (path: string) => request(path, {})
  return {
    child,
    output: () => output,
    log,
    get,
    request,
    waitForLog,
    async waitForReady() {
      await waitFor('readiness', async () => (await get('/readyz')).status === 200)
    },
    waitForReason: (reason) =>
      waitFor(`reason ${reason}`, async () => {
        const answer = await get('/readyz')
        return answer.body.reason === reason && answer
      }) as Promise<Answer>,
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return ended
    },
    ended,
  }
}

/** Loaded with the first answer: most of the time that this takes is for the validator. */
async function loadCheck(): Promise<AnswerCheck> {
  const { createAnswerCheck, readBuiltDescription } = await import('./described.ts')
  return createAnswerCheck(readBuiltDescription())
}

function parseLog(output: string): LogLine[] {
  const lines = output.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
  return lines.map((line) => JSON.parse(line) as LogLine)
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: no process is left.
  }
}
