import { maskTexts } from '../../config/redact.ts'
import { type Status, statusSchema } from '../schemas/status.ts'
import type { RoutePlugin } from '../typebox.ts'

export interface StatusOptions {
  readonly readStatus: () => Promise<Status>
  readonly mask: (text: string) => string
}

/** The details, for people; 200 in every state. */
export const statusRoute: RoutePlugin<StatusOptions> = async (app, { readStatus, mask }) => {
  // A status that is given out again is not masked and written again.
  const texts = new WeakMap<Status, string>()
  app.get('/status', { schema: statusSchema }, async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    const status = await readStatus()
    const text = texts.get(status) ?? JSON.stringify(maskTexts(status, mask))
    texts.set(status, text)
    // The type of the answer is the schema's, although it is already written.
    return reply.type('application/json; charset=utf-8').send(text as unknown as Status)
  })
}
