import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { captureBaseline } from '../../src/baseline/capture.ts'
import type { DatabaseIdentity } from '../../src/baseline/disposable.ts'
import { ensureStore } from '../../src/baseline/store.ts'
import { NO_OTHER_SCHEMAS, type OtherSchemas } from '../../src/catalog/scope.ts'
import { resetData } from '../../src/reset/data.ts'
import type { LockOptions } from '../../src/reset/lock-retry.ts'
import { createResetSessions } from '../../src/reset/session.ts'
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'
import { loadServer } from '../support/server.ts'

export interface Teardown {
  teardown(work: () => Promise<void>): unknown
}

/** A database that is marked disposable, with its baseline captured. */
export interface ResetWorld extends TestDatabase {
  readonly database: DatabaseIdentity
  /** Connects as the role that resets. */
  readonly resetUrl: string
  /** Connects as that role, too. */
  readonly ownerPool: pg.Pool
  readonly sessions: ReturnType<typeof createResetSessions>
  reset(options?: Partial<LockOptions>): ReturnType<typeof resetData>
}

export interface WorldOptions {
  readonly from: 'migrated' | 'empty'
  /** Runs before the capture. */
  readonly schema?: string
  readonly others?: OtherSchemas
  /** A plain role owns the database and resets it, instead of the server's superuser. */
  readonly asOwner?: boolean
}

export async function createResetWorld(t: Teardown, options: WorldOptions): Promise<ResetWorld> {
  const role = options.asOwner ? await createTestRole(t, `login password '${PASSWORD}'`) : undefined
  const db = await createTestDatabase(t, { from: options.from })
  if (role !== undefined) await db.pool.query(`alter database ${db.name} owner to ${role}`)
  const resetUrl = role === undefined ? db.url : urlAs(db.url, role)
  const owner = new pg.Client({ connectionString: resetUrl })
  await owner.connect()
  if (options.from === 'empty') await owner.query(HISTORY)
  if (options.schema !== undefined) await owner.query(options.schema)
  await ensureStore(owner)
  await owner.query('select provisioning.allow_reset($1)', [db.name])
  const { others = NO_OTHER_SCHEMAS } = options
  await captureBaseline(owner, others)
  await owner.end()

  const database = { name: db.name, host: '127.0.0.1', port: 5432 }
  const sessions = createResetSessions({
    connect: () => connect(resetUrl),
    database,
    others,
  })
  const ownerPool = new pg.Pool({ connectionString: resetUrl })
  ownerPool.on('error', () => {})
  t.teardown(async () => {
    await sessions.close()
    await ownerPool.end()
  })
  return {
    ...db,
    resetUrl,
    ownerPool,
    sessions,
    database,
    reset: (options = {}) =>
      resetData(sessions, database, { lockTimeoutMs: 2000, terminateBlockers: false, ...options }),
  }
}

export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

export async function readPid(client: Pick<pg.ClientBase, 'query'>): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return rows[0]?.pid as number
}

/** Runs statements that need another database than the one they are about. */
export async function maintain(...statements: string[]): Promise<void> {
  const client = await connect(loadServer().url)
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

/** Copies a database, and ends its connections for that; returns the URL of the copy. */
export async function copyDatabase(t: Teardown, { name }: Pick<TestDatabase, 'name'>) {
  const copy = `test_copy_${randomBytes(4).toString('hex')}`
  t.teardown(() => maintain(`drop database if exists ${copy} with (force)`))
  await maintain(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${name}'`,
    `create database ${copy} template ${name}`,
  )
  return urlOf(copy)
}

export function urlOf(database: string): string {
  const url = new URL(loadServer().url)
  url.pathname = `/${database}`
  return url.href
}

const PASSWORD = 'only-for-this-test'

function urlAs(url: string, role: string): string {
  const other = new URL(url)
  other.username = role
  other.password = PASSWORD
  return other.href
}

/** The history that the migration tool would have written. */
const HISTORY = `
  create schema graphile_migrate;
  create table graphile_migrate.migrations (
    hash text primary key, previous_hash text, filename text not null, date timestamptz default now());
  insert into graphile_migrate.migrations (hash, filename) values ('sha1:1', '000001.sql');`
