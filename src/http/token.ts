import { createHash, timingSafeEqual } from 'node:crypto'
import type { onRequestAsyncHookHandler } from 'fastify'
import { ServiceError } from '../errors/service-error.ts'
import type { WrongTokens } from './wrong-tokens.ts'

export interface TokenCheck {
  /** The environment variable that holds the token. */
  readonly setting: string
  readonly token: string
  readonly wrongTokens: WrongTokens
}

/** Creates a hook that lets only requests with this token pass. */
export function createTokenCheck({ setting, token, wrongTokens }: TokenCheck) {
  const check: onRequestAsyncHookHandler = async (request, reply) => {
    const given = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (given === undefined) {
      reply.header('www-authenticate', 'Bearer')
      throw new ServiceError(
        'token_missing',
        `expected the header Authorization: Bearer ${setting}`,
      )
    }
    // First of all, so that wrong tokens from the same address never keep the right one out.
    // timingSafeEqual needs equal lengths; hashes have them, and do not reveal the token's length.
    if (timingSafeEqual(hash(given), hash(token))) return
    const waitSeconds = wrongTokens.add(request.ip)
    if (waitSeconds === undefined) {
      throw new ServiceError('token_wrong', `the token is not the ${setting} of this service`)
    }
    reply.header('retry-after', String(waitSeconds))
    throw new ServiceError(
      'too_many_wrong_tokens',
      `too many wrong tokens from this address; send the ${setting}, or wait ${waitSeconds} s`,
    )
  }
  return check
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
