import { type Status, statusSchema } from '../schemas/status.ts'
import type { RoutePlugin } from '../typebox.ts'

export interface StatusOptions {
  readonly readStatus: () => Promise<Status>
}

/** The details, for people; 200 in every state. */
export const statusRoute: RoutePlugin<StatusOptions> = async (app, { readStatus }) => {
  app.get('/status', { schema: statusSchema }, async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return readStatus()
  })
}
