import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { EXIT, ServiceError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { spawnOptions } from './account.ts'
import type { EmbeddedHome } from './home.ts'
import { identifyProcess } from './process.ts'
import { cannotStart } from './start-error.ts'

const MAJOR_VERSION = '18'

/** The embedded server's superuser. Not a secret: the server answers on this machine only. */
const SUPERUSER = { user: 'postgres', password: 'postgres' } as const

/** With the password: never logged. */
export function serverUrl(port: number, database: string): string {
  return `postgres://${SUPERUSER.user}:${SUPERUSER.password}@127.0.0.1:${port}/${database}`
}

/**
 * Makes the data folder where there is none, and refuses one that is not to be touched. A new one
 * is made beside its place and put there whole, so that one which was left half made, because the
 * service was killed, is never taken for another.
 */
export async function prepareDataFolder(
  home: EmbeddedHome,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  removeHalfMade(home.dataDir)
  if (hasContent(home)) return refuseForeign(home)
  const fresh = `${home.dataDir}.new-${process.pid}-${randomBytes(3).toString('hex')}`
  try {
    log.info({ dataDir: home.dataDir }, 'making the data folder of the embedded server')
    await initialise(fresh, home, signal)
    renameSync(join(fresh, 'data'), home.dataDir)
  } catch (error) {
    // Another service was faster, as its server will say.
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return
    if (isErrno(error, 'EBUSY', 'EXDEV')) {
      throw refuse(
        home.dataDir,
        'embedded_data_dir_unusable',
        'is a mount point; name a folder in it',
      )
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

function hasContent(home: EmbeddedHome): boolean {
  try {
    return readdirSync(home.dataDir).length > 0
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    if (isErrno(error, 'ENOTDIR'))
      throw refuse(home.dataDir, 'embedded_data_dir_foreign', 'is a file')
    if (isErrno(error, 'EACCES')) throw refuseOwner(home)
    throw error
  }
}

function refuseForeign({ dataDir, account }: EmbeddedHome): void {
  if (!existsSync(join(dataDir, 'PG_VERSION'))) {
    const found = "holds files that are not PostgreSQL's; empty it, or name another folder"
    throw refuse(dataDir, 'embedded_data_dir_foreign', found)
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
  if (lstatSync(dataDir).uid !== account.uid) throw refuseOwner({ dataDir, account })
}

function refuseOwner({
  dataDir,
  account,
}: Pick<EmbeddedHome, 'dataDir' | 'account'>): ServiceError {
  const found =
    `belongs to user ${lstatSync(dataDir).uid}, while PostgreSQL would run as user ${account.uid}; ` +
    'start the service as before, or change the owner of the folder and all in it'
  return refuse(dataDir, 'embedded_data_dir_foreign', found)
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
      '--encoding=UTF8',
      // PostgreSQL's own rules for text: the same on every platform, and for good. Those of the
      // operating system change with its updates, and would leave the indexes of a kept folder wrong.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
    ],
    { ...spawnOptions(home.account), stdio: ['ignore', 'ignore', 'pipe'], signal },
  )
  let complaints = ''
  initdb.stderr.on('data', (text) => {
    complaints += text
  })
  const [exitCode] = await once(initdb, 'close')
  if (exitCode !== 0) throw cannotStart('initdb failed', complaints)
}

function isErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

function refuse(dataDir: string, code: string, found: string): ServiceError {
  return new ServiceError(
    `the embedded server's data folder ${dataDir} ${found} (setting EMBEDDED_DATA_DIR)`,
    { code, exitCode: EXIT.database },
  )
}
