import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '../../errors/service-error.ts'
import { spawnOptions } from './account.ts'
import { SUPERUSER } from './address.ts'
import type { EmbeddedHome } from './home.ts'
import { startError } from './start-error.ts'

/** Every local user can reach the server's port, and its superuser can run any program. */
export function createPassword(): string {
  return randomBytes(18).toString('base64url')
}

/** Beside the data folder, so that a folder that is removed while its server runs gets it again. */
export function passwordFileOf(dataDir: string): string {
  return `${dataDir}.password`
}

/**
 * Reads the password of the superuser; undefined if there is none yet, or if others could have read
 * it.
 */
export function readPassword(dataDir: string): string | undefined {
  const path = passwordFileOf(dataDir)
  let file: number
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw unusableFileError(path, `cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  try {
    const { uid, mode } = fstatSync(file)
    if (uid !== process.getuid?.()) throw unusableFileError(path, `belongs to user ${uid}`)
    if ((mode & 0o077) !== 0) return undefined
    return readFileSync(file, 'utf8').trim() || undefined
  } finally {
    closeSync(file)
  }
}

/** Writes the file complete or not at all, readable by this user only. */
export function savePassword(dataDir: string, password: string): void {
  const path = passwordFileOf(dataDir)
  const incomplete = `${path}.new-${process.pid}`
  rmSync(incomplete, { force: true })
  writeFileSync(incomplete, `${password}\n`, { mode: 0o600, flag: 'wx' })
  renameSync(incomplete, path)
}

/** Sets the superuser's password while no server runs on the folder; nobody can connect meanwhile. */
export async function setPassword(home: EmbeddedHome, password: string): Promise<void> {
  const settings = { password_encryption: 'scram-sha-256', log_statement: 'none' }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const backend = spawn(
    join(home.binDir, 'postgres'),
    ['--single', '-D', home.dataDir, ...options, 'postgres'],
    { ...spawnOptions(home.account), stdio: ['pipe', 'ignore', 'pipe'] },
  )
  let output = ''
  backend.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  backend.stdin.on('error', () => {})
  // Not among the arguments, which every user can read.
  backend.stdin.end(`alter role ${SUPERUSER} password '${password.replaceAll("'", "''")}'\n`)
  const [exitCode] = await once(backend, 'close')
  // It ends with 0 even if the statement failed, and then prints the statement.
  if (exitCode !== 0 || /\bERROR:/.test(output)) {
    throw startError('its password could not be set', withoutStatements(output))
  }
}

function withoutStatements(output: string): string {
  return output.replace(/^.*STATEMENT:.*$\n?/gm, '')
}

function unusableFileError(path: string, problem: string): ServiceError {
  return new ServiceError(
    'embedded_data_dir_foreign',
    `the password file of the embedded server, ${path}, ${problem}; start the service as the user ` +
      'it was started as before, or remove the file',
  )
}
