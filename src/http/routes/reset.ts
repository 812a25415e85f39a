import { createHash, timingSafeEqual } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { ServiceError } from '../../errors/service-error.ts'
import type { ResetOptions, ResetReport } from '../../reset/resetter.ts'
import { isClientError } from '../problem.ts'
import { RESET_DEFAULTS, resetSchema } from '../schemas/reset.ts'
import type { RoutePlugin } from '../typebox.ts'
import { bodyWrongError } from '../validation.ts'

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
  // Every body is read as JSON, whatever its content type says.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, async (_: unknown, body: string) =>
    parseBody(body),
  )

  app.post('/reset', {
    schema: resetSchema,
    onRequest: async (request, reply) => {
      const given = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1]
      if (given === undefined) reply.header('www-authenticate', 'Bearer')
      assertToken(given, token)
    },
    preValidation: async (request) => {
      // `null` is a body, and a wrong one.
      if (request.body === undefined) request.body = {}
    },
    errorHandler: (error) => {
      // A body that Fastify rejects itself, such as one that is too large, is a wrong body, too.
      throw isClientError(error) ? bodyWrongError(error.message) : error
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

function assertToken(given: string | undefined, token: string): void {
  if (given === undefined) {
    throw new ServiceError('token_missing', 'expected the header Authorization: Bearer RESET_TOKEN')
  }
  // timingSafeEqual needs equal lengths; hashes have them, and do not reveal the token's length.
  if (timingSafeEqual(hash(given), hash(token))) return
  throw new ServiceError('token_wrong', 'the token is not the RESET_TOKEN of this service')
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function parseBody(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw bodyWrongError('it is not JSON')
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
