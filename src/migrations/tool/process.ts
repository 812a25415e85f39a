import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { Log } from '../../logger.ts'
import { applicationName } from '../../postgres/application-name.ts'
import type { ToolRequest } from './messages.ts'

export interface ToolProcessOptions {
  /** Variables for Node.js itself; the tool gets no other. */
  readonly nodeVariables: Readonly<Record<string, string>>
  readonly log: Log
  /** The database of the job, to connect to it ahead. Default: the process connects when it has its job. */
  readonly url?: string | undefined
}

/** A process of the migration tool: it loads the tool, and then waits for its one job. */
export interface ToolProcess {
  readonly child: ChildProcess
  /** What pg_stat_activity shows for its sessions. */
  readonly applicationName: string
  /** Sends it a message; one that it cannot get any more is dropped, since `ended` says why. */
  send(request: ToolRequest): void
  /** Resolves with how it ended, in words. */
  readonly ended: Promise<string>
  /** Kills it; what it runs in PostgreSQL goes on. */
  kill(): void
}

/** Starts a process of the migration tool. Until it has its job, it does nothing in the database. */
export function startToolProcess({ nodeVariables, log, url }: ToolProcessOptions): ToolProcess {
  const child = fork(findChildFile(), [], {
    env: { ...nodeVariables },
    // The service has printed the same warnings. No flag of V8 is here: Node.js would reject the compiled code
    // of its own modules.
    execArgv: ['--no-warnings'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  log.debug({ pid: child.pid }, 'migration tool started')
  const ended = new Promise<string>((resolve) => {
    child.on('error', ({ message }) => resolve(message))
    child.on('exit', (code, killedBy) =>
      resolve(killedBy ? `killed by ${killedBy}` : `exit code ${code}`),
    )
  })
  const application = applicationName(`migration ${randomBytes(4).toString('hex')}`)
  const send = (request: ToolRequest) => void child.send(request, () => {})
  if (url !== undefined) send({ type: 'connect', url, applicationName: application })
  return { child, applicationName: application, ended, send, kill: () => child.kill('SIGKILL') }
}

/** It is beside this file in the build and in a bundle; tests of the source use the build's. */
function findChildFile(): string {
  const file = import.meta.url.endsWith('.ts')
    ? '../../../dist/src/migrations/tool/child.js'
    : './child.js'
  return fileURLToPath(new URL(file, import.meta.url))
}
