import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { spawnOptions } from '../../../src/database/embedded/account.ts'
import { TEXT_RULES } from '../../../src/database/embedded/data-folder.ts'
import { type EmbeddedHome, prepareHome } from '../../../src/database/embedded/home.ts'
import { findFreePort } from '../../support/port.ts'
import { until } from '../../support/until.ts'
import type { Scope } from './scope.ts'

/** The role that the service connects as: no superuser, and with a password. */
export const ROLE = 'app'
export const DATABASE = 'app'

/** A server that belongs to one cell of the matrix, which may do to it whatever it likes. */
export interface FaultServer {
  readonly folder: string
  readonly port: number
  start(): Promise<void>
  /** SIGINT ends every session and shuts down; SIGQUIT is a crash. */
  stop(signal: 'SIGINT' | 'SIGQUIT'): Promise<void>
  /** Stops every process of the server, as a frozen machine does. */
  freeze(): void
  thaw(): void
  /** Opens a superuser's session, past the proxy. */
  connect(): Promise<pg.Client>
  query(sql: string): Promise<pg.QueryResult>
}

/** A data folder with the role and the database, which each cell copies. */
export interface Template {
  readonly dataDir: string
  readonly home: EmbeddedHome
}

const SETTINGS = [
  "listen_addresses = '127.0.0.1'",
  "unix_socket_directories = ''",
  'max_connections = 30',
  'superuser_reserved_connections = 5',
  'shared_buffers = 8MB',
  'wal_level = minimal',
  'max_wal_senders = 0',
  'autovacuum = off',
  'fsync = off',
  // Lasts longer than the matrix: no checkpoint at a random moment.
  'checkpoint_timeout = 1h',
]
const HBA = ['host all postgres 127.0.0.1/32 trust', 'host all all 127.0.0.1/32 scram-sha-256']

export async function createTemplate(scope: Scope, password: string): Promise<Template> {
  const folder = createServerFolder(scope)
  const quiet = { debug() {}, info() {}, warn() {}, error() {} }
  const home = prepareHome(join(folder, 'data'), quiet)
  const { account, binDir, dataDir } = home
  mkdirSync(dataDir, { mode: 0o700 })
  chownSync(dataDir, account.uid, account.gid)
  execFileSync(
    join(binDir, 'initdb'),
    [
      ...['-D', dataDir, '-U', 'postgres', '-A', 'trust', '--no-sync', '--wal-segsize=1'],
      ...TEXT_RULES,
    ],
    { ...spawnOptions(account), stdio: 'pipe' },
  )
  appendFileSync(join(dataDir, 'postgresql.conf'), `${SETTINGS.join('\n')}\n`)
  writeFileSync(join(dataDir, 'pg_hba.conf'), `${HBA.join('\n')}\n`)
  const server = await createServer(home, folder, 'postgres')
  await server.start()
  await server.query(`create role ${ROLE} login password '${password}'`)
  await server.query(`create database ${DATABASE} owner ${ROLE}`)
  await server.stop('SIGINT')
  return { dataDir, home }
}

/** Starts a server on a copy of the template. */
export async function startServer(scope: Scope, { home, dataDir }: Template): Promise<FaultServer> {
  const folder = createServerFolder(scope)
  await promisify(execFile)('cp', ['-a', '--reflink=auto', dataDir, folder])
  const server = await createServer({ ...home, dataDir: join(folder, 'data') }, folder, DATABASE)
  scope.teardown(() => server.stop('SIGQUIT'))
  await server.start()
  return server
}

function createServerFolder(scope: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-faults-'))
  chmodSync(folder, 0o755)
  scope.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function createServer(
  { account, binDir, dataDir }: EmbeddedHome,
  folder: string,
  database: string,
): Promise<FaultServer> {
  const port = await findFreePort()
  const logFile = join(folder, 'log')
  let child: ChildProcess | undefined
  let ended: Promise<unknown> = Promise.resolve()

  async function connect(): Promise<pg.Client> {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  async function query(sql: string): Promise<pg.QueryResult> {
    const client = await connect()
    try {
      return await client.query(sql)
    } finally {
      await client.end()
    }
  }
  const signalAll = (signal: NodeJS.Signals) => {
    const postmaster = child?.pid
    if (postmaster === undefined || child?.exitCode !== null) return
    // First the one that would start others.
    for (const pid of [postmaster, ...findChildren(postmaster)]) {
      try {
        process.kill(pid, signal)
      } catch {
        // ESRCH: it has ended meanwhile.
      }
    }
  }
  return {
    folder,
    port,
    async start() {
      const log = openSync(logFile, 'a')
      const server = spawn(join(binDir, 'postgres'), ['-D', dataDir, '-c', `port=${port}`], {
        ...spawnOptions(account),
        stdio: ['ignore', log, log],
      })
      child = server
      ended = new Promise((resolve) => server.once('close', resolve))
      await until('the server starts', async () => {
        if (server.exitCode !== null) throw new Error(readFileSync(logFile, 'utf8'))
        return query('select').then(
          () => true,
          () => false,
        )
      })
    },
    async stop(signal) {
      signalAll('SIGCONT')
      child?.kill(signal)
      await ended
    },
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
    connect,
    query,
  }
}

/** Each backend is the leader of its own process group, so the group says nothing. */
function findChildren(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent)
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}
