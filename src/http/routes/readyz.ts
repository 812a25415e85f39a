import type { Readiness } from '../../readiness.ts'
import { readyzSchema } from '../schemas/health.ts'
import type { RoutePlugin } from '../typebox.ts'

export interface ReadyzOptions {
  readonly readiness: Pick<Readiness, 'current'>
}

/** Almost every answer. It holds nothing to mask, so it is written once and not for each probe. */
const READY = { status: 'ready' } as const
const READY_TEXT = JSON.stringify(READY)

/** Answers from memory: a probe never waits for the database. `/health` is another name for it. */
export const readyzRoute: RoutePlugin<ReadyzOptions> = async (app, { readiness }) => {
  for (const url of ['/readyz', '/health']) {
    app.get(url, { schema: readyzSchema }, (_request, reply) => {
      const state = readiness.current
      reply.header('cache-control', 'no-store')
      if (!state.ready) {
        const { reason, detail } = state
        reply.code(503).send({ status: 'not_ready', reason, detail })
      } else if (state.ahead !== undefined) {
        reply.send({ ...READY, detail: state.ahead })
      } else {
        // The type of the answer is the schema's, although it is already written.
        const text = READY_TEXT as unknown as typeof READY
        reply.header('content-type', 'application/json; charset=utf-8').send(text)
      }
    })
  }
}
