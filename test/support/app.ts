import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gunzipSync } from 'node:zlib'
import type { FastifyInstance, InjectOptions } from 'fastify'
import pino from 'pino'
import { describeRoutes } from '../../scripts/openapi/describe.ts'
import { listRoutes } from '../../scripts/openapi/routes.ts'
import { type AppDeps, createApp } from '../../src/http/app.ts'
import { createReadiness } from '../../src/readiness.ts'
import { createAnswerCheck, type Description, type SeenAnswer } from './described.ts'
import { projectDir } from './server.ts'

interface Teardown {
  teardown(work: () => Promise<void>): unknown
}

/** The description of the routes as the source has them. */
export const description: Description = JSON.parse(
  JSON.stringify(describeRoutes(await listRoutes())),
)

const check = createAnswerCheck(description)

/**
 * Creates the HTTP side alone, ready, with only what the test passes behind it. Its test fails if an answer
 * is not as the API description says.
 */
export function createTestApp(t: Teardown, deps: Partial<AppDeps> = {}): FastifyInstance {
  const readiness = createReadiness()
  readiness.set({ ready: true })
  const app = createApp({
    log: pino({ level: 'silent' }),
    hosts: { host: '127.0.0.1', allowedHosts: [] },
    readiness,
    readStatus: async () => {
      throw new Error('no status here')
    },
    readOverview: async () => ({ schemas: [] }),
    mask: (text) => text,
    readMetrics: async () => {
      throw new Error('no metrics here')
    },
    onEvent: () => {},
    apiDocsFolder: pathToFileURL(join(projectDir, 'dist/src/api-docs/')),
    ...deps,
  })
  const mismatches = checkAnswers(app)
  t.teardown(async () => {
    await app.close()
    if (mismatches.length > 0) throw new Error(mismatches.join('\n'))
  })
  return app
}

/** Checks every answer of the app, but for those of routes that the test adds; returns what it finds. */
function checkAnswers(app: FastifyInstance): readonly string[] {
  const mismatches: string[] = []
  const addedByTest: RegExp[] = []
  app.addHook('onRoute', ({ url, schema }) => {
    if (schema?.summary !== undefined) return
    addedByTest.push(new RegExp(`^${url.replace(/:\w+/g, '[^/]+')}$`))
  })
  const see = (answer: SeenAnswer) => {
    const [path = ''] = answer.url.split('?')
    if (addedByTest.some((pattern) => pattern.test(path))) return
    const mismatch = check(answer)
    if (mismatch !== undefined) mismatches.push(mismatch)
  }

  const inject = app.inject.bind(app)
  app.inject = (async (options: InjectOptions | string) => {
    const response = await inject(options)
    const { method = 'GET', url = '' } = typeof options === 'string' ? { url: options } : options
    const { statusCode: status, headers, rawPayload } = response
    see({ method, url: String(url), status, headers, body: textOf(rawPayload, headers) })
    return response
  }) as typeof app.inject

  const watch = (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    let written: object = {}
    const writeHead = response.writeHead.bind(response)
    response.writeHead = ((status: number, headers: object = {}) => {
      written = headers
      return writeHead(status, headers as never)
    }) as typeof response.writeHead
    const end = response.end.bind(response)
    response.end = ((chunk?: unknown, ...rest: never[]) => {
      if (typeof chunk === 'string' || chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
      return end(chunk, ...rest)
    }) as typeof response.end
    response.once('finish', () => {
      const { method = '', url = '' } = request
      const headers = { ...response.getHeaders(), ...written }
      const body = method === 'HEAD' ? '' : textOf(Buffer.concat(chunks), headers)
      see({ method, url, status: response.statusCode, headers, body })
    })
  }
  // Before the app answers them.
  app.server.prependListener('request', watch)
  app.server.prependListener('checkExpectation', watch)
  return mismatches
}

function textOf(body: Buffer, headers: Readonly<Record<string, unknown>>): string {
  return (headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
}
