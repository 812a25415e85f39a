import { createHash } from 'node:crypto'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAlive } from './processes.ts'

/** What a test run's processes share about their service. */
export interface ServiceRecord {
  readonly pid: number
  /** Undefined while the service starts or stops. */
  readonly address?: { readonly url: string; readonly token: string }
}

/** The folder that the processes of a test run share. */
export interface RunFolder {
  readonly path: string
  readonly lockFile: string
  readonly logFile: string
  readonly tokenFile: string
  readonly dataDir: string
  readRecord(): ServiceRecord | undefined
  /** Appears as a whole. */
  writeRecord(record: ServiceRecord): void
  /** Says that this process needs the service, until it ends. */
  addUser(pid: number): void
  hasUser(pid: number): boolean
  /** Those that are alive; the others are forgotten. */
  listUsers(): number[]
  /** Says that this process has borrowed a database, until it releases it. */
  addLease(id: string): void
  removeLease(id: string): void
  /** Those whose process has ended. */
  listAbandoned(): string[]
  /** Removes everything but the log. */
  clear(): void
  remove(): void
}

/** The folder for services of this package with these settings, below the one for temporary files. */
export function findRunFolder(settings: Readonly<Record<string, string>>): RunFolder {
  const names = Object.keys(settings).sort()
  const identity = JSON.stringify([
    import.meta.dirname,
    ...names.map((name) => [name, settings[name]]),
  ])
  const name = createHash('sha256').update(identity).digest('hex').slice(0, 12)
  const parent = join(tmpdir(), `commandbus-db-${process.getuid?.() ?? 'user'}`)
  makeOwnFolder(parent)
  return openRunFolder(join(parent, name))
}

/** Opens a folder by its path, and makes it unless it exists. */
export function openRunFolder(path: string): RunFolder {
  const users = join(path, 'users')
  const leases = join(path, 'leases')
  const record = join(path, 'service.json')
  const folder: RunFolder = {
    path,
    lockFile: `${path}.lock`,
    logFile: join(path, 'service.log'),
    tokenFile: join(path, 'token'),
    dataDir: join(path, 'postgres'),
    readRecord() {
      try {
        return JSON.parse(readFileSync(record, 'utf8'))
      } catch {
        return undefined
      }
    },
    writeRecord(content) {
      const fresh = `${record}.${process.pid}`
      writeFileSync(fresh, JSON.stringify(content), { mode: 0o600 })
      renameSync(fresh, record)
    },
    addUser(pid) {
      makeOwnFolder(path)
      mkdirSync(users, { recursive: true, mode: 0o700 })
      writeFileSync(join(users, String(pid)), '')
    },
    hasUser: (pid) => listNames(users).includes(String(pid)),
    listUsers() {
      const pids = listNames(users).map(Number)
      for (const pid of pids) if (!isAlive(pid)) rmSync(join(users, String(pid)), { force: true })
      return pids.filter(isAlive)
    },
    addLease(id) {
      mkdirSync(leases, { recursive: true, mode: 0o700 })
      writeFileSync(join(leases, `${id}.${process.pid}`), '')
    },
    removeLease(id) {
      for (const name of listNames(leases)) {
        if (name.startsWith(`${id}.`)) rmSync(join(leases, name), { force: true })
      }
    },
    listAbandoned: () =>
      listNames(leases).flatMap((name) => {
        const [id = '', pid] = name.split('.')
        return isAlive(Number(pid)) ? [] : id
      }),
    clear() {
      for (const name of listNames(path)) {
        if (name !== 'service.log') rmSync(join(path, name), { recursive: true, force: true })
      }
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  }
  return folder
}

function listNames(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/**
 * Makes a folder that only this user can write to and list. Of root's, others can enter what they know: its
 * PostgreSQL runs as another user.
 */
function makeOwnFolder(path: string): void {
  const uid = process.getuid?.()
  const mode = uid === 0 ? 0o711 : 0o700
  mkdirSync(path, { recursive: true, mode })
  const found = lstatSync(path)
  if (!found.isDirectory() || (uid !== undefined && found.uid !== uid)) {
    throw new Error(
      `${path} has to be a folder of this user, and belongs to user ${found.uid}; remove it, or set TMPDIR`,
    )
  }
  if ((found.mode & 0o777) !== mode) chmodSync(path, mode)
}
