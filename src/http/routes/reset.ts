import type { ServerResponse } from 'node:http'
import type { FastifyError } from 'fastify'
import { ServiceError } from '../../errors/service-error.ts'
import type { ResetOptions, ResetReport } from '../../reset/resetter.ts'
import { isClientError } from '../problem.ts'
import { RESET_DEFAULTS, resetSchema } from '../schemas/reset.ts'
import { createTokenCheck } from '../token.ts'
import type { RoutePlugin } from '../typebox.ts'
import { bodyWrongError } from '../validation.ts'
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
  // Every body is read as JSON, whatever its content type says.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, async (_: unknown, body: string) =>
    parseBody(body),
  )

  app.post('/reset', {
    schema: resetSchema,
    onRequest: createTokenCheck({ setting: 'RESET_TOKEN', token, wrongTokens }),
    preValidation: async (request) => {
      // `null` is a body, and a wrong one.
      if (request.body === undefined) request.body = {}
    },
    errorHandler: (error) => {
      // A body that Fastify rejects itself, such as one that is too large, is a wrong body, too.
      throw isClientError(error) ? bodyWrongError(describeBodyError(error)) : error
    },
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

function describeBodyError({ code, message }: FastifyError): string {
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return 'expected at most 64 KiB'
  if (code === 'FST_ERR_CTP_INVALID_CONTENT_LENGTH') return 'its length is not its Content-Length'
  return message
}

function parseBody(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw bodyWrongError('expected JSON')
  }
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
