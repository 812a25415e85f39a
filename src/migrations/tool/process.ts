import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Log } from '../../logger.ts'

export interface ToolProcessOptions {
  /** Variables for Node.js itself; the tool gets no other. */
  readonly nodeVariables: Readonly<Record<string, string>>
  readonly log: Log
}

/** A process of the migration tool: it loads the tool, and then waits for its one job. */
export interface ToolProcess {
  readonly child: ChildProcess
  /** Resolves with how it ended, in words. */
  readonly ended: Promise<string>
  /** Kills it; what it runs in PostgreSQL goes on. */
  kill(): void
}

/** Starts a process of the migration tool. Until it has its job, it does not connect to the database. */
export function startToolProcess({ nodeVariables, log }: ToolProcessOptions): ToolProcess {
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
  return { child, ended, kill: () => child.kill('SIGKILL') }
}

/** It is beside this file in the build and in a bundle; tests of the source use the build's. */
function findChildFile(): string {
  const file = import.meta.url.endsWith('.ts')
    ? '../../../dist/src/migrations/tool/child.js'
    : './child.js'
  return fileURLToPath(new URL(file, import.meta.url))
}
