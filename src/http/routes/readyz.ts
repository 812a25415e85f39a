import type { Readiness } from '../../readiness.ts'
import { readyzSchema } from '../schemas/health.ts'
import type { RoutePlugin } from '../typebox.ts'

export interface ReadyzOptions {
  readonly readiness: Pick<Readiness, 'current'>
}

/** Answers from memory: a probe never waits for the database. `/health` is another name for it. */
export const readyzRoute: RoutePlugin<ReadyzOptions> = async (app, { readiness }) => {
  for (const url of ['/readyz', '/health']) {
    app.get(url, { schema: readyzSchema }, async (_request, reply) => {
      const state = readiness.current
      reply.header('cache-control', 'no-store')
      if (state.ready) {
        const { ahead } = state
        return { status: 'ready' as const, ...(ahead !== undefined && { detail: ahead }) }
      }
      reply.code(503)
      return { status: 'not_ready' as const, reason: state.reason, detail: state.detail }
    })
  }
}
