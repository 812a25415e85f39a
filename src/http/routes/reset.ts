import { createHash, timingSafeEqual } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { FastifyPluginAsync } from 'fastify'
import { ServiceError } from '../../errors/service-error.ts'
import type { ResetOptions, ResetReport } from '../../reset/resetter.ts'

export interface ResetRouteOptions {
  readonly token: string
  /** Throws where the service is not ready for a reset of this mode. */
  readonly assertReady: (mode: ResetOptions['mode']) => void
  readonly reset: (options: ResetOptions) => Promise<ResetReport>
}

const MOST_LOCK_TIMEOUT_MS = 600_000
const BODY =
  'an object with any of "mode" ("data" or "rebuild"), "lockTimeoutMs" (an integer from 0 to ' +
  `${MOST_LOCK_TIMEOUT_MS}) and "terminateBlockers" (true or false)`

/** Registered only where RESET_ENABLED is true; the order of its refusals is part of its contract. */
export const resetRoute: FastifyPluginAsync<ResetRouteOptions> = async (
  app,
  { token, assertReady, reset },
) => {
  // Whatever comes is read as JSON here: what is not is refused by this route, in its turn.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))

  app.post('/reset', {
    onRequest: async (request, reply) => {
      const given = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1]
      if (given === undefined) reply.header('www-authenticate', 'Bearer')
      assertToken(given, token)
    },
    errorHandler: (error) => {
      // Fastify's own refusals of a body (too large, and the like) are wrong bodies, too.
      const isBody = !(error instanceof ServiceError) && (error.statusCode ?? 500) < 500
      throw isBody ? refuseBody(error.message) : error
    },
    handler: async (request, reply) => {
      const options = {
        ...parseBody(request.body),
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
    throw new ServiceError(
      'token_missing',
      'expected the header Authorization: Bearer and the RESET_TOKEN',
    )
  }
  // Hashes are of one length, which timingSafeEqual needs, and give no length away.
  if (timingSafeEqual(hash(given), hash(token))) return
  throw new ServiceError('token_wrong', 'the token is not the RESET_TOKEN of this service')
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Returns what throws once the client has gone away without its answer. */
function watchClient(reply: ServerResponse): () => void {
  let isGone = false
  reply.once('close', () => {
    isGone = !reply.writableFinished
  })
  return () => {
    if (!isGone) return
    throw new ServiceError('client_gone', 'the client has gone, and its reset with it')
  }
}

function parseBody(body: unknown): Omit<ResetOptions, 'assertWanted'> {
  const text = typeof body === 'string' ? body : ''
  const given = text === '' ? {} : parseJson(text)
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw refuseBody('it is no object')
  }
  const { mode = 'data', lockTimeoutMs = 2000, terminateBlockers = false, ...rest } = given as Body
  const unknown = Object.keys(rest)
  if (unknown.length > 0) throw refuseBody(`there is no ${unknown.join(', ')}`)
  if (mode !== 'data' && mode !== 'rebuild') throw refuseBody('mode is neither data nor rebuild')
  if (!isLockTimeout(lockTimeoutMs)) throw refuseBody('lockTimeoutMs is no such integer')
  if (typeof terminateBlockers !== 'boolean') throw refuseBody('terminateBlockers is no boolean')
  return { mode, lockTimeoutMs, terminateBlockers }
}

type Body = Readonly<Record<keyof Omit<ResetOptions, 'assertWanted'>, unknown>>

function isLockTimeout(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MOST_LOCK_TIMEOUT_MS
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refuseBody('it is not JSON')
  }
}

function refuseBody(found: string): ServiceError {
  return new ServiceError('body_wrong', `the body is wrong: ${found}; expected ${BODY}, or none`)
}
