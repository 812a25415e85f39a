import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Readiness } from '../../readiness.ts'

export interface ReadyzOptions {
  readonly readiness: Pick<Readiness, 'current'>
}

/** Answered from memory: a probe never waits for the database. */
export const readyzRoute: FastifyPluginAsync<ReadyzOptions> = async (app, { readiness }) => {
  const answer = async (_request: FastifyRequest, reply: FastifyReply) => {
    const state = readiness.current
    reply.header('cache-control', 'no-store')
    if (state.ready) return { status: 'ready' }
    reply.code(503)
    return { status: 'not_ready', reason: state.reason, detail: state.detail }
  }
  app.get('/readyz', answer)
  // The same, for those who expect this name.
  app.get('/health', answer)
}
