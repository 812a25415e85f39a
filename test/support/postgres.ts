import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { openClient } from '../../src/postgres/client.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { loadServer, projectDir } from './server.ts'

export interface TestDatabase {
  /** Of a superuser. */
  readonly url: string
  readonly name: string
  readonly pool: pg.Pool
  /** Opens a session as the service does. */
  open(purpose: string): Promise<SessionClient>
}

/** What createTestDatabase needs of a tap test. */
interface Teardown {
  teardown(work: () => Promise<void>): unknown
}

const server = loadServer()
const templateName = `test_${server.runId}_template`
// Without fsync copying the files takes 13 ms; writing them to the log as well, 25.
const strategy = server.watcherPid === undefined ? 'wal_log' : 'file_copy'
// Any number will do; all files of a run must take the same.
const templateLockKey = 20261122

/**
 * Creates a database that lives as long as the test: `empty`, or `migrated` with all of
 * migrations/committed.
 */
export async function createTestDatabase(
  t: Teardown,
  options: { readonly from: 'migrated' | 'empty' },
): Promise<TestDatabase> {
  if (options.from === 'migrated') await ensureTemplate()
  const name = `test_${server.runId}_${randomBytes(5).toString('hex')}`
  const template = options.from === 'migrated' ? templateName : 'template0'
  await withMaintenance((client) =>
    client.query(`create database ${name} template ${template} strategy ${strategy}`),
  )

  const url = urlOf(name)
  const pool = new pg.Pool({ connectionString: url, max: 20 })
  // Dropping the database ends idle connections, which is no error of the test.
  pool.on('error', () => {})
  t.teardown(async () => {
    // A client that the test has not given back must not keep the database alive.
    await Promise.race([pool.end(), sleep(500, undefined, { ref: false })])
    await withMaintenance((client) => client.query(`drop database if exists ${name} with (force)`))
  })
  return { url, name, pool, open: (purpose) => openClient(url, purpose) }
}

/** Migrates the template of this run, once; the files that ask meanwhile wait for it. */
async function ensureTemplate(): Promise<void> {
  await withMaintenance(async (client) => {
    await client.query('select pg_advisory_lock($1)', [templateLockKey])
    const { rows } = await client.query('select datallowconn from pg_database where datname = $1', [
      templateName,
    ])
    // A template that still takes connections was left by a migration that failed.
    if (rows[0]?.datallowconn === false) return
    await client.query(`drop database if exists ${templateName} with (force)`)
    await client.query(`create database ${templateName} template template0`)
    await migrate(urlOf(templateName))
    await client.query(`alter database ${templateName} allow_connections false`)
  })
}

async function migrate(url: string): Promise<void> {
  const committed = readdirSync(join(projectDir, 'migrations', 'committed'))
  if (!committed.some((file) => file.endsWith('.sql'))) return
  const main = createRequire(import.meta.url).resolve('graphile-migrate')
  await promisify(execFile)(process.execPath, [join(dirname(main), 'cli.js'), 'migrate'], {
    cwd: projectDir,
    env: { PATH: process.env.PATH, DATABASE_URL: url },
  })
}

/** For a given server, which outlives the run. */
export async function dropTemplate(): Promise<void> {
  await withMaintenance((client) =>
    client.query(`drop database if exists ${templateName} with (force)`),
  )
}

async function withMaintenance<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function urlOf(name: string): string {
  const url = new URL(server.url)
  url.pathname = `/${name}`
  return url.href
}
