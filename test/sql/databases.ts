import { randomBytes } from 'node:crypto'
import { openClient } from '../../src/postgres/client.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { urlOfDatabase } from '../../src/postgres/connection/other-database.ts'
import { nameState, readState, runCommitted, runCurrent } from './state.ts'

export interface StateDatabase {
  readonly url: string
  /** Begins the names of databases that belong to these committed migrations. */
  readonly runId: string
  /** Has the server drop it, and what killed runs have left; waits for the end of that only where it has to. */
  drop(options: { readonly wait: boolean }): Promise<void>
}

export interface StateOptions {
  /** To any database of the server, for a user who may create databases. */
  readonly rootUrl: string
  readonly migrationsDir: string
  readonly placeholders: Readonly<Record<string, string>>
  /** The database that the first migration finds; by default an empty one. */
  readonly base?: string | undefined
}

/** Any numbers will do; two runs at the same time must take the same. */
const TEMPLATE_LOCK = 20261127
/** Every run shares it until its end. */
const RUN_LOCK = 20261128

/**
 * Creates a database with the state of the files, and without anyone's rows: a copy of a template of the committed migrations,
 * which rarely change, in which the uncommitted one is run.
 */
export async function createStateDatabase(options: StateOptions): Promise<StateDatabase> {
  const { rootUrl, migrationsDir, placeholders, base = 'template0' } = options
  const { committed, current } = readState(migrationsDir)
  const runId = `sql_${nameState(committed, placeholders)}`
  const name = nameOf(runId, randomBytes(5).toString('hex'))
  const root = await openClient(rootUrl, 'test:sql')
  const drop = async ({ wait }: { readonly wait: boolean }) => {
    await dropLeftovers(root, [name, nameOf(runId)])
    const dropped = root.query(`drop database if exists ${name} with (force)`)
    // The server goes on with a statement whose client has ended.
    if (wait) return dropped.finally(() => root.end()).then(() => {})
    dropped.catch(() => {})
    ;(root as unknown as { unref(): void }).unref()
  }
  try {
    await root.query('select pg_advisory_lock_shared($1)', [RUN_LOCK])
    await ensureTemplate(root, nameOf(runId), base, (database) =>
      runCommitted(urlOfDatabase(rootUrl, database), committed, placeholders),
    )
    await createCopy(root, name, nameOf(runId))
    const url = urlOfDatabase(rootUrl, name)
    await runCurrent(url, current, { migrationsDir, placeholders })
    return { url, runId, drop }
  } catch (error) {
    await drop({ wait: true }).catch(() => {})
    throw error
  }
}

/** As the tests' own databases are named: see test/support/postgres.ts. */
const nameOf = (runId: string, suffix = 'template') => `test_${runId}_${suffix}`

async function ensureTemplate(
  root: SessionClient,
  name: string,
  base: string,
  fill: (database: string) => Promise<void>,
): Promise<void> {
  await root.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK])
  const { rowCount } = await root.query(
    // A template that takes connections was left by a run that failed.
    'select from pg_database where datname = $1 and not datallowconn',
    [name],
  )
  if (rowCount === 0) {
    await root.query(`drop database if exists ${name} with (force)`)
    await createCopy(root, name, base)
    await fill(name)
    await root.query(`alter database ${name} allow_connections false`)
  }
  await root.query('select pg_advisory_unlock($1)', [TEMPLATE_LOCK])
}

/** What other committed migrations and runs that were killed have left, unless another run is in progress. */
async function dropLeftovers(root: SessionClient, kept: readonly string[]): Promise<void> {
  const { rows } = await root.query<{ name: string }>(
    `select datname as name from pg_database where datname like 'test\\_sql\\_%' and datname <> all ($1)`,
    [kept],
  )
  if (rows.length === 0) return
  await root.query('select pg_advisory_unlock_shared($1)', [RUN_LOCK])
  const { rows: locks } = await root.query<{ alone: boolean }>(
    'select pg_try_advisory_lock($1) as alone',
    [RUN_LOCK],
  )
  if (!locks[0]?.alone) return
  for (const { name } of rows) await root.query(`drop database if exists ${name} with (force)`)
}

async function createCopy(root: SessionClient, name: string, template: string): Promise<void> {
  // Copying its files instead would take two checkpoints, which take longer on a small database.
  await root.query(`create database ${name} template ${template} strategy wal_log`)
}
