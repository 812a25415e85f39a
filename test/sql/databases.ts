import { randomBytes } from 'node:crypto'
import { openClient } from '../../src/postgres/client.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { urlOfDatabase } from '../../src/postgres/connection/other-database.ts'
import { nameState, readState, runCommitted, runCurrent } from './state.ts'

export interface StateDatabase {
  readonly url: string
  /** Begins the names of databases that belong to this state. */
  readonly runId: string
  drop(): Promise<void>
}

export interface StateOptions {
  /** To any database of the server, for a user who may create databases. */
  readonly rootUrl: string
  readonly migrationsDir: string
  readonly placeholders: Readonly<Record<string, string>>
  /** The database that the first migration finds; by default an empty one. */
  readonly base?: string | undefined
}

/** Any number will do; two runs at the same time must take the same. */
const LOCK_KEY = 20261127

/**
 * Creates a database with the state of the files, and without anybody's rows. It is a copy of a template, which is made
 * again only when the files have changed: from a template of the committed migrations, which rarely change.
 */
export async function createStateDatabase(options: StateOptions): Promise<StateDatabase> {
  const { rootUrl, migrationsDir, placeholders, base = 'template0' } = options
  const { committed, current } = readState(migrationsDir)
  const committedId = `sql_${nameState(committed, placeholders)}`
  const runId = `sql_${nameState([...committed, current], placeholders)}`
  const root = await openClient(rootUrl, 'test:sql')
  try {
    const name = nameOf(runId, randomBytes(5).toString('hex'))
    await root.query('select pg_advisory_lock($1)', [LOCK_KEY])
    const { rows } = await root.query<Existing>(
      `select datname as name, datallowconn as "allowsConnections",
              exists (select from pg_stat_activity where pg_stat_activity.datname = pg_database.datname) as "isInUse"
         from pg_database where datname like 'test\\_sql\\_%'`,
    )
    const templates = { root, existing: rows }
    if (!isReady(nameOf(runId), rows)) {
      await dropOld(root, rows, [nameOf(runId), nameOf(committedId)])
      await ensureTemplate(nameOf(committedId), base, templates, (database) =>
        runCommitted(urlOfDatabase(rootUrl, database), committed, placeholders),
      )
      await ensureTemplate(nameOf(runId), nameOf(committedId), templates, (database) =>
        runCurrent(urlOfDatabase(rootUrl, database), current, { migrationsDir, placeholders }),
      )
    }
    await createCopy(root, name, nameOf(runId))
    return { url: urlOfDatabase(rootUrl, name), runId, drop: () => drop(rootUrl, name) }
  } finally {
    await root.end()
  }
}

interface Existing {
  readonly name: string
  /** A template that does was left by a run that failed. */
  readonly allowsConnections: boolean
  readonly isInUse: boolean
}

/** As the tests' own databases are named: see test/support/postgres.ts. */
const nameOf = (runId: string, suffix = 'template') => `test_${runId}_${suffix}`

const isReady = (name: string, existing: readonly Existing[]) =>
  existing.some((one) => one.name === name && !one.allowsConnections)

async function ensureTemplate(
  name: string,
  from: string,
  { root, existing }: { readonly root: SessionClient; readonly existing: readonly Existing[] },
  fill: (database: string) => Promise<void>,
): Promise<void> {
  if (isReady(name, existing)) return
  await root.query(`drop database if exists ${name} with (force)`)
  await createCopy(root, name, from)
  await fill(name)
  await root.query(`alter database ${name} allow_connections false`)
}

/** What earlier states and runs that were killed have left. */
async function dropOld(
  root: SessionClient,
  existing: readonly Existing[],
  kept: readonly string[],
): Promise<void> {
  for (const { name, isInUse } of existing) {
    if (!isInUse && !kept.includes(name)) await root.query(`drop database if exists ${name}`)
  }
}

async function createCopy(root: SessionClient, name: string, template: string): Promise<void> {
  // Copying its files instead would take two checkpoints, which take longer on a small database.
  await root.query(`create database ${name} template ${template} strategy wal_log`)
}

async function drop(rootUrl: string, name: string): Promise<void> {
  const root = await openClient(rootUrl, 'test:sql')
  await root
    .query(`drop database if exists ${name} with (force)`)
    .finally(() => root.end().catch(() => {}))
}
