import type { FastifyInstance } from 'fastify'
import pino from 'pino'
import { type AppDeps, createApp } from '../../src/http/app.ts'
import { createReadiness } from '../../src/readiness.ts'

interface Teardown {
  teardown(work: () => Promise<void>): unknown
}

/** Creates the HTTP side alone, ready, with only what the test passes behind it. */
export function createTestApp(t: Teardown, deps: Partial<AppDeps> = {}): FastifyInstance {
  const readiness = createReadiness()
  readiness.set({ ready: true })
  const app = createApp({
    log: pino({ level: 'silent' }),
    hosts: { host: '127.0.0.1', allowedHosts: [] },
    readiness,
    readStatus: async () => {
      throw new Error('no status here')
    },
    mask: (text) => text,
    readMetrics: async () => {
      throw new Error('no metrics here')
    },
    onEvent: () => {},
    ...deps,
  })
  t.teardown(() => app.close())
  return app
}
