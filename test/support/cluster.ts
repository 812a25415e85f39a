import { execFile, execFileSync } from 'node:child_process'
import { appendFileSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { findFreePort } from './port.ts'

const run = promisify(execFile)

/** Debian's PostgreSQL 15: it has TLS, and everything that a standby needs. */
const BIN = '/usr/lib/postgresql/15/bin'

/** Why a test of such a cluster is skipped; undefined where it can run. */
export function findClusterProblem(): string | undefined {
  if (!existsSync(join(BIN, 'pg_ctl')))
    return "NOT TESTED: Debian's package postgresql-15 is missing"
  return findAccount() === undefined && process.getuid?.() === 0
    ? 'NOT TESTED: no user postgres'
    : undefined
}

export interface Cluster {
  readonly port: number
  readonly folder: string
  /** Of a superuser, unless another user is named. */
  url(database?: string, user?: string): string
  query(sql: string, database?: string): Promise<pg.QueryResult>
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  start(): Promise<void>
  promote(): Promise<void>
}

export interface ClusterOptions {
  /** Lines of pg_hba.conf; without them everything on this machine is trusted. */
  readonly hba?: readonly string[]
  readonly settings?: Readonly<Record<string, string>>
  readonly standbyOf?: Cluster
  /** Called with the data folder, before the server starts. */
  readonly prepare?: (dataDir: string) => void
}

interface Teardown {
  teardown(work: () => Promise<void>): unknown
}

/** Starts a server of its own for a test: a primary, or a streaming standby of one. */
export async function startCluster(t: Teardown, options: ClusterOptions = {}): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-cluster-'))
  own(folder)
  const dataDir = join(folder, 'data')
  const port = await findFreePort()
  const tool = (name: string, ...args: string[]) =>
    run(join(BIN, name), args, { cwd: folder, ...spawnOptions() })
  const start = async () => {
    await tool('pg_ctl', '-D', dataDir, '-l', join(folder, 'log'), '-w', '-t', '60', 'start')
  }
  const stop = async (mode = 'immediate') => {
    await tool('pg_ctl', '-D', dataDir, '-m', mode, '-w', 'stop').catch(() => {})
  }
  t.teardown(async () => {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const { standbyOf, hba, settings } = options
  if (standbyOf === undefined) {
    await tool('initdb', '-D', dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync')
  } else {
    const from = ['-h', '127.0.0.1', '-p', String(standbyOf.port), '-U', 'postgres']
    await tool('pg_basebackup', ...from, '-D', dataDir, '-R', '-X', 'stream', '-c', 'fast')
  }
  const lines = Object.entries({
    port: String(port),
    listen_addresses: "'127.0.0.1'",
    unix_socket_directories: "''",
    fsync: 'off',
    'plpgsql.extra_errors': 'all',
    ...settings,
  }).map(([name, value]) => `${name} = ${value}\n`)
  appendFileSync(join(dataDir, 'postgresql.conf'), lines.join(''))
  if (hba !== undefined) writeFileSync(join(dataDir, 'pg_hba.conf'), `${hba.join('\n')}\n`)
  options.prepare?.(dataDir)
  await start()

  const url = (database = 'postgres', user = 'postgres') =>
    `postgres://${user}@127.0.0.1:${port}/${database}`
  return {
    port,
    folder,
    url,
    start,
    stop,
    async promote() {
      await tool('pg_ctl', '-D', dataDir, '-w', 'promote')
    },
    async query(sql, database) {
      const client = new pg.Client({ connectionString: url(database) })
      client.on('error', () => {})
      await client.connect()
      try {
        return await client.query(sql)
      } finally {
        await client.end()
      }
    },
  }
}

/** Gives a file or folder to the account that runs the servers. */
export function own(path: string): void {
  const account = findAccount()
  if (process.getuid?.() === 0 && account !== undefined) chownSync(path, account.uid, account.gid)
}

/** PostgreSQL and PgBouncer refuse to run as root. */
export function spawnOptions(): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? (findAccount() ?? {}) : {}
}

function findAccount(): { uid: number; gid: number } | undefined {
  try {
    const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { stdio: 'pipe' }))
    return { uid: id('-u'), gid: id('-g') }
  } catch {
    return undefined
  }
}
