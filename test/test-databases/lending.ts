import pg from 'pg'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { type Answer, type Service, startService } from '../support/service.ts'
import { until } from '../support/until.ts'

export const TOKEN = 'a-token-long-enough'

interface Teardown {
  teardown(work: () => Promise<void> | void): unknown
}

/** A database as POST /databases answers it. */
export interface Lent {
  readonly id: string
  readonly name: string
  readonly url: string
  readonly label: string | null
  readonly lentAt: string
  readonly expiresAt: string
  readonly history: { readonly last: string; readonly hash: string }
}

export interface Response extends Answer {
  readonly headers: Headers
}

/** A service that lends databases. */
export interface LendingService extends Service {
  call(method: string, path: string, body?: unknown, init?: RequestInit): Promise<Response>
  /** Borrows a database; throws if it gets none. */
  lend(body?: object): Promise<Lent>
  giveBack(lent: Pick<Lent, 'id'>): Promise<void>
  /** Waits until so many are ready, and no more are being cleaned. */
  waitForCounts(counts: { lent?: number; ready?: number }): Promise<void>
}

/** Starts a service that lends databases, and waits until it is ready. */
export async function startLending(
  t: Teardown,
  env: Record<string, string>,
): Promise<LendingService> {
  const service = startService(t, {
    TEST_DATABASES_MAX: '4',
    TEST_DATABASES_TOKEN: TOKEN,
    ...env,
  })
  await service.waitForReady()
  return createLender(service)
}

/** Adds what is asked of a service that was started with TEST_DATABASES_TOKEN. */
export async function createLender(service: Service): Promise<LendingService> {
  const { msg } = await service.waitForLog('listening at')
  const base = msg.slice('listening at '.length)
  async function call(method: string, path: string, body?: unknown, init: RequestInit = {}) {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...init,
    })
    const text = await response.text()
    const { status, headers } = response
    return { status, headers, body: text === '' ? undefined : JSON.parse(text) }
  }
  return {
    ...service,
    call,
    async lend(body) {
      const { status, body: lent } = await call('POST', '/databases', body)
      if (status !== 201) throw new Error(`${status}: ${JSON.stringify(lent)}`)
      return lent
    },
    async giveBack({ id }) {
      const { status, body } = await call('DELETE', `/databases/${id}`)
      if (status !== 204) throw new Error(`${status}: ${JSON.stringify(body)}`)
    },
    async waitForCounts(expected) {
      await until(`counts ${JSON.stringify(expected)}`, async () => {
        const { testDatabases } = (await service.get('/status')).body
        return Object.entries(expected).every(([name, value]) => testDatabases[name] === value)
      })
    },
  }
}

/** Runs statements in a session of its own, which is closed again. */
export async function runIn(url: string, ...statements: string[]): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    let last: unknown
    for (const statement of statements) last = await client.query(statement)
    return last as pg.QueryResult
  } finally {
    await client.end()
  }
}

export const FIRST = `create table public.things (id serial primary key, label text);
                      insert into public.things (label) values ('first')`
export const SECOND = `insert into public.things (label) values ('second')`

/** An empty database with a migrations folder of two files; what is made beside it is dropped with it. */
export async function createWorld(t: Teardown) {
  const db = await createTestDatabase(t, { from: 'empty' })
  const folder = createMigrationsFolder(t, [FIRST, SECOND])
  const listDatabases = async () => {
    const { rows } = await db.pool.query<{ name: string }>(
      `select datname as name from pg_database where datname like $1 order by 1`,
      [`${db.name}\\_%`],
    )
    return rows.map(({ name }) => name)
  }
  t.teardown(async () => {
    for (const name of await listDatabases()) {
      await db.pool.query(`drop database if exists "${name}" with (force)`)
    }
  })
  return { db, folder, env: { DATABASE_URL: db.url, MIGRATIONS_DIR: folder }, listDatabases }
}

/** The rows of a database of that world. */
export async function readLabels(url: string): Promise<string[]> {
  const { rows } = await runIn(url, 'select label from things order by id')
  return rows.map(({ label }) => label)
}
