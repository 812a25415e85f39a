import { fastify } from 'fastify'
import pg from 'pg'
import { captureBaseline } from '../src/baseline/capture.ts'
import { ensureStore } from '../src/baseline/store.ts'
import { resetRoute } from '../src/http/routes/reset.ts'
import { createReadiness } from '../src/readiness.ts'
import { createResetter, type ResetReport } from '../src/reset/resetter.ts'
import { createResetSessions } from '../src/reset/session.ts'
import { createPoster, type InsideServer, measureInsideServer } from './reset-parts.ts'

const TOKEN = 'only-for-this-measurement'
const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error }

/** Resets of one database, as they are in the service: with guard, queue and schema check. */
export interface Subject {
  reset(): Promise<ResetReport>
  /** The same over a connection that is kept, as a test run has it. */
  resetOverHttp(): Promise<void>
  /** Its parts, from the inside out; each with everything that is before it. */
  readonly parts: Readonly<Record<string, () => Promise<unknown>>>
  /** By the server's own clock. */
  measureInside(dirt: string, rounds: number): Promise<InsideServer>
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
  const sessions = createResetSessions({ connect, database })
  const resetter = createResetter({
    sessions,
    database,
    readiness,
    log: quiet,
    migrate: async () => {},
  })
  await resetter.warm()
  const options = { mode: 'data', lockTimeoutMs: 5000, terminateBlockers: false } as const

  const app = fastify()
  app.register(resetRoute, { token: TOKEN, assertReady() {}, reset: resetter.reset })
  app.post('/nothing', async () => ({}))
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const headers = { authorization: `Bearer ${TOKEN}` }
  const resetPoster = createPoster(`${address}/reset`, headers)
  const nothingPoster = createPoster(`${address}/nothing`, headers)
  return {
    reset: () => resetter.reset(options),
    parts: {
      'the function, over the wire': async () =>
        (await sessions.open()).attempt({ lockTimeoutMs: 5000, lockFirst: undefined }),
      '+ queue, checks and report': () => resetter.reset(options),
      '+ HTTP, with node:http': resetPoster.post,
      'an empty answer over HTTP, with node:http': nothingPoster.post,
      'an empty answer over HTTP, with fetch': async () =>
        (await fetch(`${address}/nothing`, { method: 'POST' })).text(),
    },
    async measureInside(dirt, rounds) {
      const inside = await measureInsideServer(await sessions.open(), dirt, rounds)
      // The block has left plans and settings of its own in the session.
      sessions.forgetFunction()
      return inside
    },
    async resetOverHttp() {
      const response = await fetch(`${address}/reset`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}` },
      })
      await response.text()
      if (!response.ok) throw new Error(`reset answered ${response.status}`)
    },
    async close() {
      resetPoster.close()
      nothingPoster.close()
      await app.close()
      await resetter.close()
    },
  }
}
