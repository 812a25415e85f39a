import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { findAccount, spawnOptions } from '../../src/database/embedded/account.ts'
import { findFreePort } from './port.ts'

interface Teardown {
  teardown(work: () => Promise<void>): unknown
}

/** Whether Debian's package `postgresql-15-plpgsql-check` is installed. */
export function hasPlpgsqlCheck(): boolean {
  return existsSync('/usr/share/postgresql/15/extension/plpgsql_check.control')
}

/** Options of a test that needs plpgsql_check. */
export const needsPlpgsqlCheck = {
  skip: !hasPlpgsqlCheck() && "NOT TESTED: Debian's package postgresql-15-plpgsql-check is missing",
}

/** Whether Debian's package `postgresql-15` is installed. */
export function hasPostgres15(): boolean {
  return existsSync('/usr/lib/postgresql/15/bin/postgres')
}

/** Starts a PostgreSQL 15 of Debian's that lives as long as the test; returns the URL of its superuser. */
export async function startPostgres15(
  t: Teardown,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const binDir = '/usr/lib/postgresql/15/bin'
  const account = findAccount()
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-test-15-'))
  chmodSync(folder, 0o755)
  const dataDir = join(folder, 'data')
  mkdirSync(dataDir, { mode: 0o700 })
  chownSync(dataDir, account.uid, account.gid)
  const options = spawnOptions(account)
  execFileSync(
    join(binDir, 'initdb'),
    ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale', 'C'],
    { ...options, stdio: 'pipe' },
  )
  const port = await findFreePort()
  const settings = [
    ...['-c', `port=${port}`, '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off'],
    ...['-c', 'unix_socket_directories=', '-c', 'plpgsql.extra_errors=all'],
    ...Object.entries(more).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  const server = spawn(join(binDir, 'postgres'), ['-D', dataDir, ...settings], {
    ...options,
    stdio: 'ignore',
  })
  const ended = new Promise((resolve) => server.once('close', resolve))
  t.teardown(async () => {
    server.kill('SIGINT')
    await ended
    rmSync(folder, { recursive: true, force: true })
  })
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  while (!(await answers(url))) {
    if (server.exitCode !== null) throw new Error(`PostgreSQL 15 ended with ${server.exitCode}`)
    await sleep(50)
  }
  return url
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}
