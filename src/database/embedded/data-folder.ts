import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { ErrorCode } from '../../errors/codes.ts'
import { ServiceError } from '../../errors/service-error.ts'
import type { Log } from '../../logger.ts'
import { spawnOptions } from './account.ts'
import { SUPERUSER } from './address.ts'
import type { EmbeddedHome } from './home.ts'
import { identifyProcess } from './process.ts'
import { startError } from './start-error.ts'

const MAJOR_VERSION = '18'

/**
 * Text rules that are built into PostgreSQL. Those of the operating system change with its updates,
 * which would corrupt the indexes of an existing data folder.
 */
export const TEXT_RULES: readonly string[] = [
  '--encoding=UTF8',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--locale=C',
]

/** Whether the data folder still has to be created; throws if it must not be touched. */
export function isNewDataFolder({ dataDir, account }: EmbeddedHome): boolean {
  const owner = lstatSync(dataDir, { throwIfNoEntry: false })?.uid
  if (owner === undefined) return true
  const wrongOwnerError = dataFolderError(
    dataDir,
    'embedded_data_dir_foreign',
    `belongs to user ${owner}, but PostgreSQL would run as user ${account.uid}; start the service ` +
      'as the user it was started as before, or change the owner of the folder and everything in it',
  )
  const files = listFiles(dataDir, wrongOwnerError)
  if (files.length === 0) return true
  if (!files.includes('PG_VERSION')) {
    throw dataFolderError(
      dataDir,
      'embedded_data_dir_foreign',
      "contains files that are not PostgreSQL's; empty it, or name another folder",
    )
  }
  const version = readFileSync(join(dataDir, 'PG_VERSION'), 'utf8').trim()
  if (version !== MAJOR_VERSION) {
    throw dataFolderError(
      dataDir,
      'embedded_data_dir_other_version',
      `was created by PostgreSQL ${version}, whose files PostgreSQL ${MAJOR_VERSION} cannot read. It ` +
        `is unchanged: dump it with PostgreSQL ${version} if you need its data, then move it away`,
    )
  }
  if (owner !== account.uid) throw wrongOwnerError
  return false
}

function listFiles(dataDir: string, wrongOwnerError: ServiceError): string[] {
  try {
    return readdirSync(dataDir)
  } catch (error) {
    if (isErrno(error, 'EACCES')) throw wrongOwnerError
    throw error
  }
}

export interface CreateOptions {
  /** The superuser's password. */
  readonly password: string
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * Creates the data folder under another name and renames it when it is complete, so that a service
 * that is killed meanwhile leaves no incomplete data folder. Returns false if another service was
 * faster: starting the server on its folder will report that service.
 */
export async function createDataFolder(
  home: EmbeddedHome,
  { password, log, signal }: CreateOptions,
): Promise<boolean> {
  const { dataDir } = home
  removeIncompleteFolders(dataDir)
  const incomplete = `${dataDir}.new-${process.pid}-${randomBytes(3).toString('hex')}`
  try {
    log.info({ dataDir }, 'creating the data folder of the embedded server')
    await initialise(incomplete, home, password, signal)
    renameSync(join(incomplete, 'data'), dataDir)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return false
    if (isErrno(error, 'EBUSY')) {
      throw dataFolderError(
        dataDir,
        'embedded_data_dir_foreign',
        'is a mount point; name a folder inside it',
      )
    }
    throw error
  } finally {
    rmSync(incomplete, { recursive: true, force: true })
  }
}

/** Their names contain the pid of the service that was creating them. */
function removeIncompleteFolders(dataDir: string): void {
  const prefix = `${basename(dataDir)}.new-`
  for (const name of readdirSync(dirname(dataDir))) {
    if (!name.startsWith(prefix)) continue
    const pid = Number.parseInt(name.slice(prefix.length), 10)
    // In a container every service may have the same pid, and this one has not created any yet.
    if (pid !== process.pid && identifyProcess(pid) !== undefined) continue
    try {
      rmSync(join(dirname(dataDir), name), { recursive: true, force: true })
    } catch {
      // The killed service's initdb may still be writing; the next start removes the folder.
    }
  }
}

/** Runs initdb in the folder `incomplete`, which only PostgreSQL's user and root can enter. */
async function initialise(
  incomplete: string,
  home: EmbeddedHome,
  password: string,
  signal: AbortSignal,
): Promise<void> {
  const passwordFile = join(incomplete, 'password')
  mkdirSync(incomplete, { mode: 0o700 })
  // Every user can read the arguments of a process, but not this file.
  writeFileSync(passwordFile, password, { mode: 0o600 })
  for (const path of [incomplete, passwordFile]) {
    chownSync(path, home.account.uid, home.account.gid)
  }
  const initdb = spawn(
    join(home.binDir, 'initdb'),
    [
      `--pgdata=${join(incomplete, 'data')}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      ...TEXT_RULES,
    ],
    { ...spawnOptions(home.account), stdio: ['ignore', 'ignore', 'pipe'], signal },
  )
  let output = ''
  initdb.stderr.on('data', (text) => {
    output += text
  })
  const [exitCode] = await once(initdb, 'close').catch(async (error) => {
    // It may go on writing until it has ended, and its folder is about to be removed.
    if (signal.aborted && initdb.exitCode === null) await once(initdb, 'close')
    throw error
  })
  if (exitCode !== 0) throw startError('initdb failed', output)
}

function isErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

function dataFolderError(dataDir: string, code: ErrorCode, problem: string): ServiceError {
  return new ServiceError(
    code,
    `the embedded server's data folder ${dataDir} ${problem} (setting EMBEDDED_DATA_DIR)`,
  )
}
