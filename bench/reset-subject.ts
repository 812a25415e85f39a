import { fastify } from 'fastify'
import pg from 'pg'
import { captureBaseline } from '../src/baseline/capture.ts'
import { ensureStore } from '../src/baseline/store.ts'
import { resetRoute } from '../src/http/routes/reset.ts'
import { createReadiness } from '../src/readiness.ts'
import { createResetter, type ResetReport } from '../src/reset/resetter.ts'
import { createResetSessions } from '../src/reset/session.ts'

const TOKEN = 'only-for-this-measurement'
const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error }

/** Resets of one database, as they are in the service: with guard, queue and schema check. */
export interface Subject {
  reset(): Promise<ResetReport>
  /** The same over a connection that is kept, as a test run has it. */
  resetOverHttp(): Promise<void>
  close(): Promise<void>
}

/** Marks the database, takes what it holds for its baseline, and serves it. */
export async function openSubject(url: string, databaseName: string): Promise<Subject> {
  const connect = async () => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    return client
  }
  const owner = await connect()
  await ensureStore(owner)
  await owner.query('select provisioning.allow_reset($1)', [databaseName])
  await captureBaseline(owner)
  await owner.end()

  const database = { name: databaseName, host: '127.0.0.1', port: 0 }
  const readiness = createReadiness()
  readiness.set({ ready: true })
  const resetter = createResetter({
    sessions: createResetSessions({ connect, database }),
    database,
    readiness,
    log: quiet,
    migrate: async () => {},
  })
  await resetter.warm()
  const options = { mode: 'data', lockTimeoutMs: 5000, terminateBlockers: false } as const

  const app = fastify()
  app.register(resetRoute, { token: TOKEN, assertReady() {}, reset: resetter.reset })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    reset: () => resetter.reset(options),
    async resetOverHttp() {
      const response = await fetch(`${address}/reset`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}` },
      })
      await response.text()
      if (!response.ok) throw new Error(`reset answered ${response.status}`)
    },
    async close() {
      await app.close()
      await resetter.close()
    },
  }
}
