import type { ServerResponse } from 'node:http'
import { ServiceError } from '../../errors/service-error.ts'
import type { ResetOptions, ResetReport } from '../../reset/resetter.ts'
import { defaultToEmptyBody, readBodiesAsJson, rejectQuery, rejectWrongBody } from '../json-body.ts'
import { RESET_DEFAULTS, resetSchema } from '../schemas/reset.ts'
import { createTokenCheck } from '../token.ts'
import type { RoutePlugin } from '../typebox.ts'
import { createWrongTokens } from '../wrong-tokens.ts'

export interface ResetRouteOptions {
  readonly token: string
  /** Throws if the service is not ready for a reset of this mode. */
  readonly assertReady: (mode: ResetOptions['mode']) => void
  readonly reset: (options: ResetOptions) => Promise<ResetReport>
}

/**
 * Registered only if RESET_ENABLED is true. Token, body, readiness: the order in which a request is
 * rejected is part of the contract.
 */
export const resetRoute: RoutePlugin<ResetRouteOptions> = async (
  app,
  { token, assertReady, reset },
) => {
  const wrongTokens = createWrongTokens(app.log)
  app.addHook('onClose', async () => wrongTokens.close())
  readBodiesAsJson(app)

  app.post('/reset', {
    schema: resetSchema,
    onRequest: createTokenCheck({ setting: 'RESET_TOKEN', token, wrongTokens }),
    preValidation: [rejectQuery, defaultToEmptyBody],
    errorHandler: rejectWrongBody,
    handler: async (request, reply) => {
      const options = {
        ...RESET_DEFAULTS,
        ...request.body,
        assertWanted: watchClient(reply.raw),
      }
      assertReady(options.mode)
      reply.header('cache-control', 'no-store')
      return reset(options)
    },
  })
}

/** Returns a function that throws once the client has disconnected without its answer. */
function watchClient(reply: ServerResponse): () => void {
  let isGone = false
  reply.once('close', () => {
    isGone = !reply.writableFinished
  })
  return () => {
    if (!isGone) return
    throw new ServiceError('client_gone', 'the client disconnected, so its reset was given up')
  }
}
