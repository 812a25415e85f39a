import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { projectDir } from '../support/server.ts'

export interface CommandResult {
  readonly exitCode: number | null
  readonly output: string
}

/** A copy of the project's migrations that a test may change, and the development commands. */
export interface DevelopmentProject {
  readonly dir: string
  readonly migrationsDir: string
  /** Runs `npm run db:…`, built, with a umask that would hide new files from others. */
  run(command: string, ...args: readonly string[]): Promise<CommandResult>
  /** Starts dist/dev/<file> in a process group of its own. */
  start(file: string, ...args: readonly string[]): ChildProcess
  readCurrent(): string
  listCommitted(): string[]
}

export function createProject(t: Test, settings: Record<string, string>): DevelopmentProject {
  const dir = mkdtempSync(join(tmpdir(), 'commandbus-test-dev-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  // The embedded server may run as a different user.
  chmodSync(dir, 0o755)
  const migrationsDir = join(dir, 'migrations')
  cpSync(join(projectDir, 'migrations'), migrationsDir, { recursive: true })
  for (const file of ['.gmrc', '.squawk.toml']) cpSync(join(projectDir, file), join(dir, file))
  const env = { PATH: process.env.PATH, MIGRATIONS_DIR: migrationsDir, ...settings }

  const start = (file: string, ...args: readonly string[]) =>
    spawn(
      '/bin/sh',
      [
        '-c',
        'umask 077; exec "$@"',
        'sh',
        process.execPath,
        join(projectDir, 'dist', 'dev', file),
      ].concat(args),
      { cwd: dir, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
    )
  return {
    dir,
    migrationsDir,
    start,
    async run(command, ...args) {
      const child = command === 'url' ? start('url.js') : start('cli.js', command, ...args)
      const output = collect(child)
      const exitCode = await exitOf(child)
      return { exitCode, output: output() }
    },
    readCurrent: () => readFileSync(join(migrationsDir, 'current.sql'), 'utf8'),
    listCommitted: () => readdirSync(join(migrationsDir, 'committed')).sort(),
  }
}

/** Everything that a process has printed so far. */
export function collect(child: ChildProcess): () => string {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  }
  return () => output
}

export function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', (exitCode) => resolve(exitCode)))
}

/** Waits until a condition holds; the error of one that never does names it. */
export async function until(what: string, holds: () => unknown): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`timed out: ${what}`)
    await sleep(50)
  }
}
