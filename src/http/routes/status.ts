import type { FastifyPluginAsync } from 'fastify'
import type { Status } from '../../status.ts'

export interface StatusOptions {
  readonly readStatus: () => Promise<Status>
}

/** The details, for people; 200 in every state. */
export const statusRoute: FastifyPluginAsync<StatusOptions> = async (app, { readStatus }) => {
  app.get('/status', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return readStatus()
  })
}
