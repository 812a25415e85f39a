import { setImmediate } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import { ServiceError } from '../../errors/service-error.ts'
import { clientGoneError, leaseNotFoundError } from '../../test-databases/errors.ts'
import type { Lease, LeaseInUse } from '../../test-databases/leases.ts'
import type { TestDatabases } from '../../test-databases/test-databases.ts'
import { defaultToEmptyBody, readBodiesAsJson, rejectWrongBody } from '../json-body.ts'
import {
  extendSchema,
  findSchema,
  giveBackSchema,
  LEND_DEFAULTS,
  lendSchema,
  listSchema,
} from '../schemas/databases.ts'
import { createTokenCheck } from '../token.ts'
import type { RoutePlugin } from '../typebox.ts'
import { createWrongTokens } from '../wrong-tokens.ts'

export interface DatabasesRouteOptions {
  readonly token: string
  /** Throws if the service is not ready to lend databases. */
  readonly getDatabases: () => Pick<TestDatabases, 'lend' | 'list' | 'find' | 'extend' | 'giveBack'>
}

/** Registered only if TEST_DATABASES_MAX is above 0. Token, body, readiness: in this order. */
export const databasesRoute: RoutePlugin<DatabasesRouteOptions> = async (
  app,
  { token, getDatabases },
) => {
  const wrongTokens = createWrongTokens(app.log)
  app.addHook('onClose', async () => wrongTokens.close())
  app.addHook(
    'onRequest',
    createTokenCheck({ setting: 'TEST_DATABASES_TOKEN', token, wrongTokens }),
  )
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  readBodiesAsJson(app)

  app.post('/databases', {
    schema: lendSchema,
    preValidation: defaultToEmptyBody,
    errorHandler: rejectWrongBody,
    handler: async ({ body }, reply) => {
      const { label = null, through, ...given } = body
      const databases = getDatabases()
      const client = watchClient(reply)
      const request = { ...LEND_DEFAULTS, ...given, label, through, signal: client.signal }
      const lent = await databases.lend(request).catch((error) => {
        throw addRetryAfter(error, reply)
      })
      // For the event loop to report a client that has just disconnected: a write to its socket may still succeed.
      await setImmediate()
      client.onGone(() => void databases.giveBack(lent.id).catch(() => {}))
      reply.code(201).header('location', `/databases/${lent.id}`)
      // Written here, because the mask for answers would hide the password.
      const text = JSON.stringify({ ...describe(lent), url: lent.url, history: lent.history })
      return reply.type('application/json; charset=utf-8').send(text as never)
    },
  })

  app.get('/databases', { schema: listSchema }, async () =>
    (await getDatabases().list()).map(describeInUse),
  )

  app.get('/databases/:id', { schema: findSchema }, async ({ params }) =>
    describeInUse(await getDatabases().find(idOf(params))),
  )

  app.put('/databases/:id/expiry', {
    schema: extendSchema,
    preValidation: defaultToEmptyBody,
    errorHandler: rejectWrongBody,
    handler: async ({ params, body }) =>
      describeInUse(await getDatabases().extend(idOf(params), body.ttlSeconds)),
  })

  app.delete('/databases/:id', {
    schema: giveBackSchema,
    // It needs no body, and may have one.
    errorHandler: rejectWrongBody,
    handler: async ({ params }, reply) => {
      await getDatabases().giveBack(idOf(params))
      return reply.code(204).send(null)
    },
  })
}

function describe({ id, name, label, lentAt, expiresAt }: Lease) {
  return { id, name, label, lentAt: lentAt.toISOString(), expiresAt: expiresAt.toISOString() }
}

function describeInUse(lease: LeaseInUse) {
  return { ...describe(lease), connections: lease.connections }
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Anything else is no lease, and would be an error to PostgreSQL. */
function idOf(params: unknown): string {
  const { id } = params as { readonly id: string }
  if (!UUID.test(id)) throw leaseNotFoundError(id)
  return id
}

/** Says in a header, too, when to ask again. */
function addRetryAfter(error: unknown, reply: FastifyReply): unknown {
  if (error instanceof ServiceError && error.code === 'no_database_free') {
    reply.header('retry-after', String(error.extensions.retryAfterSeconds))
  }
  return error
}

/** A signal that aborts if the client disconnects before its answer was sent. */
function watchClient({ raw }: FastifyReply) {
  const gone = new AbortController()
  let isSent = false
  // `writableEnded` and `writableFinished` are also true of an answer to a socket that is broken.
  raw.once('finish', () => {
    isSent = true
  })
  raw.once('close', () => {
    if (!isSent) gone.abort(clientGoneError())
  })
  return {
    signal: gone.signal,
    onGone(listener: () => void) {
      if (gone.signal.aborted) listener()
      else gone.signal.addEventListener('abort', listener)
    },
  }
}
