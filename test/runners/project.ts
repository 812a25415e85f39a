import { execFile, execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../support/files.ts'
import { until } from '../support/until.ts'

const run = promisify(execFile)
const DEADLINE_MS = 120_000

interface Teardown {
  teardown(work: () => void): unknown
}

/** A folder for throw-away projects, and another that is their folder for temporary files. */
export interface Workshop {
  readonly dir: string
  readonly tmp: string
}

export function createWorkshop(t: Teardown): Workshop {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-runners-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  // The tests' own service runs PostgreSQL as another user, if root starts it.
  execFileSync('chmod', ['711', folder])
  const workshop = { dir: join(folder, 'projects'), tmp: join(folder, 'tmp') }
  for (const path of Object.values(workshop)) mkdirSync(path, { mode: 0o711 })
  return workshop
}

/** Packs what is built, as npm would publish it. */
export function pack(folder: string): string {
  const args = [
    'pack',
    '--ignore-scripts',
    '--json',
    '--loglevel=error',
    '--pack-destination',
    folder,
  ]
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: root }).toString())
  return join(folder, filename)
}

/** Installs packages from the registry; says why where that is not possible. */
export async function install(
  dir: string,
  packages: readonly string[],
): Promise<string | undefined> {
  writeFileSync(join(dir, 'package.json'), '{ "private": true }')
  const options = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
  try {
    await run('npm', ['install', ...options, ...packages], { cwd: dir, timeout: 240_000 })
    return undefined
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string }
    if (!/E404|EAI_AGAIN|ECONNREFUSED|ENOTFOUND|ETIMEDOUT|ENETUNREACH|E403/.test(stderr))
      throw error
    return `NOT TESTED: the packages could not be installed: ${message.split('\n')[0]}`
  }
}

/** Copies the example of a runner, and adds files of the test. */
export function createProject(
  { dir }: Workshop,
  example: string,
  files: Readonly<Record<string, string>>,
): string {
  const project = join(dir, example)
  cpSync(join(root, 'examples', 'testing', example), project, { recursive: true })
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, path)), { recursive: true })
    writeFileSync(join(project, path), text)
  }
  return project
}

/** Runs a command in a project with a minimal environment; returns what it printed. Throws with that if it fails. */
export async function runIn(
  project: string,
  { tmp }: Workshop,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  try {
    const { stdout, stderr } = await run(command, args, {
      cwd: project,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: tmp, CI: 'true', ...env },
      timeout: DEADLINE_MS,
    })
    return stdout + stderr
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout: string; stderr: string; message: string }
    throw new Error(`${message}\n${stdout}\n${stderr}`)
  }
}

/** The services that test runs have started and that have not ended, with their folders. */
export function listServices({ tmp }: Workshop): string[] {
  return execFileSync('ps', ['-A', '-ww', '-o', 'pid=,args='])
    .toString()
    .split('\n')
    .filter((line) => line.includes(tmp))
}

/** What is left of the services of test runs; the runners have files of their own beside it. */
export function listRunFolders({ tmp }: Workshop): string[] {
  return readdirSync(tmp)
    .filter((name) => name.startsWith('commandbus-db-'))
    .flatMap((name) => readdirSync(join(tmp, name)).map((folder) => join(tmp, name, folder)))
}

/** Waits until the service of a run, and its server, are gone with all their files. */
export async function waitUntilStopped(workshop: Workshop): Promise<void> {
  await until('the service has stopped and removed its files', () => {
    return listServices(workshop).length === 0 && listRunFolders(workshop).length === 0
  })
}

/** A module for the added tests: two of them wait until both have a database, so they run at the same time. */
export const MEET = `
const { mkdirSync, readdirSync, writeFileSync } = require('node:fs')
module.exports.meet = async (name) => {
  mkdirSync('met', { recursive: true })
  writeFileSync('met/' + name, '')
  while (readdirSync('met').length < 2) await new Promise((resolve) => setTimeout(resolve, 20))
}
`

/** The databases that the added tests had. */
export function readMet(project: string): string[] {
  return readdirSync(join(project, 'met'))
}

export function readVersion(example: string, name: string): string {
  const text = readFileSync(join(root, 'examples', 'testing', example, 'package.json'), 'utf8')
  return `${name}@${JSON.parse(text).devDependencies[name]}`
}
