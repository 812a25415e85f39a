import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ServiceError } from '../../errors/service-error.ts'
import { docsFileSchema, docsSchema, openApiSchema } from '../schemas/api-docs.ts'
import type { RoutePlugin } from '../typebox.ts'

export interface ApiDocsOptions {
  /** What scripts/api-docs.mjs wrote when the service was built: each file compressed by gzip. */
  readonly apiDocsFolder: URL
}

/** The files of the page, and nothing else of the folder. */
const TYPES: Readonly<Record<string, string>> = {
  'start.js': 'text/javascript',
  'swagger-ui-bundle.js': 'text/javascript',
  'swagger-ui.css': 'text/css',
  'LICENSE.txt': 'text/plain',
}

/** Nothing from elsewhere; the style sheet of the viewer has its icons within itself. */
const POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Serves the description of the API and a page to read it, from files that are read when they are asked for. */
export const apiDocsRoutes: RoutePlugin<ApiDocsOptions> = async (app, { apiDocsFolder }) => {
  async function send(request: FastifyRequest, reply: FastifyReply, name: string, type: string) {
    const zipped = await readFile(new URL(`${name}.gz`, apiDocsFolder))
    const etag = `W/"${createHash('sha256').update(zipped).digest('base64url')}"`
    reply.headers({
      etag,
      'cache-control': 'no-cache',
      vary: 'accept-encoding',
      'x-content-type-options': 'nosniff',
    })
    if (request.headers['if-none-match']?.includes(etag)) return reply.code(304).send()
    reply.type(`${type}; charset=utf-8`)
    if (!/\bgzip\b/.test(String(request.headers['accept-encoding']))) {
      return reply.send(await promisify(gunzip)(zipped))
    }
    return reply.header('content-encoding', 'gzip').send(zipped)
  }

  app.get('/openapi.json', { schema: openApiSchema }, (request, reply) =>
    send(request, reply, 'openapi.json', 'application/json'),
  )
  app.get('/docs', { schema: docsSchema }, (request, reply) => {
    reply.headers({ 'content-security-policy': POLICY, 'referrer-policy': 'no-referrer' })
    return send(request, reply, 'index.html', 'text/html')
  })
  app.get<{ Params: { file: string } }>(
    '/docs/:file',
    { schema: docsFileSchema },
    (request, reply) => {
      const { file } = request.params
      const type = Object.hasOwn(TYPES, file) ? TYPES[file] : undefined
      if (type !== undefined) return send(request, reply, file, type)
      throw new ServiceError('route_not_found', 'no such file')
    },
  )
}
