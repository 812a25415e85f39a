import { execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** How a command ended, and the last of what it printed. */
export interface Run {
  readonly exitCode: number | null
  readonly timedOut: boolean
  readonly output: string
}

/** A copy of the project in which files can be changed. */
export interface Sandbox {
  readonly dir: string
  run(command: string, args: readonly string[], timeoutMs: number): Promise<Run>
  remove(): void
}

const KEPT_OUTPUT = 200_000

/** Copies every file that git knows, and shares node_modules. */
export function createSandbox(projectDir: string): Sandbox {
  const dir = mkdtempSync(join(tmpdir(), 'commandbus-mutations-'))
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: projectDir,
    encoding: 'utf8',
  })
  for (const file of files.split('\0').filter((name) => existsSync(join(projectDir, name)))) {
    if (file === '') continue
    mkdirSync(dirname(join(dir, file)), { recursive: true })
    cpSync(join(projectDir, file), join(dir, file))
  }
  symlinkSync(join(projectDir, 'node_modules'), join(dir, 'node_modules'))
  return {
    dir,
    run: (command, args, timeoutMs) => runIn(dir, command, args, timeoutMs),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}

function runIn(
  cwd: string,
  command: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<Run> {
  return new Promise((resolve, reject) => {
    // A group of its own, so that nothing that it started outlives the time limit.
    const child = spawn(command, args, {
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, _TAPJS_PROCESSINFO_COVERAGE_: '0' },
    })
    let output = ''
    let timedOut = false
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-KEPT_OUTPUT)
      })
    }
    const limit = setTimeout(() => {
      timedOut = true
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }, timeoutMs)
    child.once('error', reject)
    child.once('close', (exitCode) => {
      clearTimeout(limit)
      resolve({ exitCode, timedOut, output })
    })
  })
}
