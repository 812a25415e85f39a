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
import type { EmbeddedHome } from './home.ts'
import { identifyProcess } from './process.ts'
import { cannotStart } from './start-error.ts'

const MAJOR_VERSION = '18'

/** The embedded server's superuser. Not a secret: the server answers on this machine only. */
const SUPERUSER = { user: 'postgres', password: 'postgres' } as const

/**
 * PostgreSQL's own rules for text: the same on every platform, and for good. Those of the operating
 * system change with its updates, and would leave the indexes of a kept folder wrong.
 */
export const TEXT_RULES: readonly string[] = [
  '--encoding=UTF8',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--locale=C',
]

/** With the password: never logged. */
export function serverUrl(port: number, database: string): string {
  return `postgres://${SUPERUSER.user}:${SUPERUSER.password}@127.0.0.1:${port}/${database}`
}

/** Whether the data folder is still to be made; refuses one that is not to be touched. */
export function isNewDataFolder({ dataDir, account }: EmbeddedHome): boolean {
  const owner = lstatSync(dataDir, { throwIfNoEntry: false })?.uid
  if (owner === undefined) return true
  const otherOwner = refuse(
    dataDir,
    'embedded_data_dir_foreign',
    `belongs to user ${owner}, while PostgreSQL would run as user ${account.uid}; ` +
      'start the service as before, or change the owner of the folder and all in it',
  )
  const files = listFiles(dataDir, otherOwner)
  if (files.length === 0) return true
  if (!files.includes('PG_VERSION')) {
    throw refuse(
      dataDir,
      'embedded_data_dir_foreign',
      "holds files that are not PostgreSQL's; empty it, or name another folder",
    )
  }
  const version = readFileSync(join(dataDir, 'PG_VERSION'), 'utf8').trim()
  if (version !== MAJOR_VERSION) {
    throw refuse(
      dataDir,
      'embedded_data_dir_other_version',
      `was made by PostgreSQL ${version}, whose files PostgreSQL ${MAJOR_VERSION} cannot read; it is ` +
        `left untouched: dump it with PostgreSQL ${version} if its data matter, then move it away`,
    )
  }
  if (owner !== account.uid) throw otherOwner
  return false
}

function listFiles(dataDir: string, otherOwner: ServiceError): string[] {
  try {
    return readdirSync(dataDir)
  } catch (error) {
    if (isErrno(error, 'EACCES')) throw otherOwner
    throw error
  }
}

/**
 * Makes the data folder beside its place and puts it there whole, so that one which was left half
 * made, because the service was killed, is never taken for another.
 */
export async function makeDataFolder(
  home: EmbeddedHome,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  const { dataDir } = home
  removeHalfMade(dataDir)
  const fresh = `${dataDir}.new-${process.pid}-${randomBytes(3).toString('hex')}`
  try {
    log.info({ dataDir }, 'making the data folder of the embedded server')
    await initialise(fresh, home, signal)
    renameSync(join(fresh, 'data'), dataDir)
  } catch (error) {
    // Another service was faster, as its server will say.
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return
    if (isErrno(error, 'EBUSY')) {
      throw refuse(dataDir, 'embedded_data_dir_foreign', 'is a mount point; name a folder in it')
    }
    throw error
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** The names of half-made folders hold the pid of the service that was at it. */
function removeHalfMade(dataDir: string): void {
  const prefix = `${basename(dataDir)}.new-`
  for (const name of readdirSync(dirname(dataDir))) {
    if (!name.startsWith(prefix)) continue
    const pid = Number.parseInt(name.slice(prefix.length), 10)
    // In a container every service may have the same pid; this one has not begun yet.
    if (pid !== process.pid && identifyProcess(pid) !== undefined) continue
    try {
      rmSync(join(dirname(dataDir), name), { recursive: true, force: true })
    } catch {
      // The killed service's initdb may still be writing; the next start finds it finished.
    }
  }
}

/** Runs initdb inside `fresh`, a folder that only PostgreSQL's user and root can enter. */
async function initialise(fresh: string, home: EmbeddedHome, signal: AbortSignal): Promise<void> {
  const passwordFile = join(fresh, 'password')
  mkdirSync(fresh, { mode: 0o700 })
  // In a file, because the arguments of a process are for all to see.
  writeFileSync(passwordFile, SUPERUSER.password, { mode: 0o600 })
  for (const path of [fresh, passwordFile]) chownSync(path, home.account.uid, home.account.gid)
  const initdb = spawn(
    join(home.binDir, 'initdb'),
    [
      `--pgdata=${join(fresh, 'data')}`,
      `--username=${SUPERUSER.user}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      ...TEXT_RULES,
    ],
    { ...spawnOptions(home.account), stdio: ['ignore', 'ignore', 'pipe'], signal },
  )
  let complaints = ''
  initdb.stderr.on('data', (text) => {
    complaints += text
  })
  const [exitCode] = await once(initdb, 'close').catch(async (error) => {
    // Told to end, it may still be writing to the folder that is to be removed.
    if (signal.aborted && initdb.exitCode === null) await once(initdb, 'close')
    throw error
  })
  if (exitCode !== 0) throw cannotStart('initdb failed', complaints)
}

function isErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

function refuse(dataDir: string, code: ErrorCode, found: string): ServiceError {
  return new ServiceError(
    code,
    `the embedded server's data folder ${dataDir} ${found} (setting EMBEDDED_DATA_DIR)`,
  )
}
