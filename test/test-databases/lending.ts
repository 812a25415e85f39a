import pg from 'pg'
import { type Answer, type Service, startService } from '../support/service.ts'
import { until } from '../support/until.ts'

export const TOKEN = 'a-token-long-enough'

interface Teardown {
  teardown(work: () => void): unknown
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
