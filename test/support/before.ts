// Run by tap before the first test file: one PostgreSQL server for the whole run.
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, openSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { spawnOptions } from '../../src/database/embedded/account.ts'
import { TEXT_RULES } from '../../src/database/embedded/data-folder.ts'
import { prepareHome } from '../../src/database/embedded/home.ts'
import { STAGING_DIR } from '../../src/database/embedded/staging.ts'
import { findFreePort } from './port.ts'
import { noteFile, saveServer } from './server.ts'

const runId = randomBytes(3).toString('hex')
const given = process.env.TEST_DATABASE_URL
if (given) await useGivenServer(given)
else await startServer()

async function useGivenServer(url: string): Promise<void> {
  announce(`given by TEST_DATABASE_URL, PostgreSQL ${await readVersion(url)}`)
  saveServer({ url, runId, watcherPid: undefined })
}

async function startServer(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-test-'))
  chmodSync(folder, 0o755)
  const { account, binDir, extensionDir, dataDir } = prepareHome(join(folder, 'data'), {
    debug() {},
    info: (data: object, message?: string) => announce(`${message}: ${JSON.stringify(data)}`),
    warn() {},
    error() {},
  })
  mkdirSync(dataDir, { mode: 0o700 })
  chownSync(dataDir, account.uid, account.gid)
  // Reached from this machine only, and gone with the run: no password.
  execFileSync(
    join(binDir, 'initdb'),
    ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '--no-sync', ...TEXT_RULES],
    { ...spawnOptions(account), stdio: 'pipe' },
  )

  const port = await findFreePort()
  const logFile = join(folder, 'log')
  const log = openSync(logFile, 'a')
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 500,
    max_prepared_transactions: 10,
    extension_control_path: `$system:${extensionDir}`,
    'plpgsql.extra_errors': 'all',
    // Thrown away after the run, so nothing needs to survive a crash.
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    wal_level: 'minimal',
    max_wal_senders: 0,
  }
  const server = spawn(
    join(binDir, 'postgres'),
    [
      '-D',
      dataDir,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    { ...spawnOptions(account), detached: true, stdio: ['ignore', log, log] },
  )
  server.unref()
  if (server.pid === undefined) throw new Error('PostgreSQL could not be started')
  // What had to be brought within the server's reach goes with the run as well.
  const staged = extensionDir.startsWith(STAGING_DIR) ? [dirname(extensionDir)] : []
  const args = [process.ppid, server.pid, folder, noteFile, ...staged].map(String)
  const watcher = spawn(
    process.execPath,
    [join(import.meta.dirname, 'server-watch.mjs'), ...args],
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
