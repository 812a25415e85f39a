import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'

const root = join(import.meta.dirname, '..', '..')

/** A throw-away clone of this checkout, with its uncommitted changes, and with the packages and the build that it has. */
export interface Checkout {
  readonly dir: string
  read(path: string): string
  write(path: string, text: string): void
  git(...args: readonly string[]): string
  /** Starts a command as a terminal does; `env` is for what no list of processes may show. */
  start(command: string, env?: Readonly<Record<string, string>>): Program
  /** Runs a command to its end; resolves with what it printed. */
  run(command: string): Promise<string>
  /** Stops what still runs, and removes the folder. */
  remove(): Promise<void>
}

export interface Program {
  /** What it has printed so far, without colours. */
  output(): string
  /** Waits for a text in what it prints; rejects if it ends before. */
  prints(text: string | RegExp): Promise<void>
  readonly ended: Promise<number>
  /** As Ctrl-C does. */
  interrupt(): Promise<void>
}

const DEADLINE_MS = 120_000
const POLL_MS = 5

export function createCheckout(): Checkout {
  const dir = mkdtempSync(join(tmpdir(), 'commandbus-checkout-'))
  // The embedded server may run as a different user.
  chmodSync(dir, 0o755)
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-C', dir, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  execFileSync('git', ['clone', '--quiet', root, dir], { stdio: 'ignore' })
  git('switch', '--quiet', '-C', 'main')
  // Otherwise what git says about a branch depends on the clone that this one was made from.
  git('remote', 'remove', 'origin')
  git('config', 'user.name', 'You')
  git('config', 'user.email', 'you@example.org')
  git('config', 'core.abbrev', '7')
  // The output of a commit would mention it.
  git('config', 'gc.auto', '0')
  // .gitignore names a folder, and this is a link.
  appendFileSync(join(dir, '.git', 'info', 'exclude'), 'node_modules\n')
  copyUncommitted(dir)
  if (git('status', '--porcelain') !== '') {
    git('add', '--all')
    git('commit', '--quiet', '--message', 'Uncommitted changes')
  }
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  cpSync(join(root, 'dist'), join(dir, 'dist'), { recursive: true })

  const running = new Set<Program>()
  const start = (command: string, env: Readonly<Record<string, string>> = {}): Program => {
    const program = startInTerminal(command, dir, env)
    running.add(program)
    void program.ended.then(() => running.delete(program))
    return program
  }
  return {
    dir,
    git,
    start,
    read: (path) => readFileSync(join(dir, path), 'utf8'),
    write: (path, text) => writeFileSync(join(dir, path), text),
    async run(command) {
      const program = start(command)
      await program.ended
      return program.output()
    },
    async remove() {
      for (const program of running) await program.interrupt()
      rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    },
  }
}

/** As git lists them: what is staged, changed, removed or new. */
function copyUncommitted(dir: string): void {
  const list = (...args: readonly string[]) =>
    execFileSync('git', ['-C', root, ...args, '-z'], { encoding: 'utf8' })
      .split('\0')
      .filter(Boolean)
  const changed = list('diff', '--name-only', 'HEAD')
  const added = list('ls-files', '--others', '--exclude-standard')
  for (const path of [...changed, ...added]) {
    if (existsSync(join(root, path))) cpSync(join(root, path), join(dir, path))
    else rmSync(join(dir, path), { force: true })
  }
}

/** util-linux's `script` gives the command a terminal; the environment is that of a new shell, and `env`. */
function startInTerminal(
  command: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Program {
  const child: ChildProcess = spawn('script', ['-qefc', command, '/dev/null'], {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      ...{ PATH: process.env.PATH, HOME: process.env.HOME, TERM: 'xterm', NO_COLOR: '1' },
      ...{ GIT_PAGER: 'cat', npm_config_update_notifier: 'false', LC_ALL: 'C.UTF-8', TZ: 'UTC' },
      ...env,
    },
  })
  let printed = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? -1))
  })
  const output = () => toPlainText(printed)
  return {
    output,
    ended,
    async prints(text) {
      const deadline = Date.now() + DEADLINE_MS
      const isPrinted = () =>
        typeof text === 'string' ? output().includes(text) : text.test(output())
      while (!isPrinted()) {
        if (child.exitCode !== null || Date.now() > deadline) {
          throw new Error(`${command} did not print ${text}:\n${output()}`)
        }
        await sleep(POLL_MS)
      }
    },
    async interrupt() {
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGINT')
      await ended
    },
  }
}

/** Without colours, and without the returns at the ends of a terminal's lines. */
function toPlainText(text: string): string {
  return stripVTControlCharacters(text).replaceAll('\r', '')
}
