// Writes the OpenAPI description of the service, made from the schemas of its routes:
//
//   tsx scripts/openapi.ts FILE
import { writeFileSync } from 'node:fs'
import { STATUS_CODES } from 'node:http'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import type { FastifySchema, RouteOptions } from 'fastify'
import pino from 'pino'
import { createApp } from '../src/http/app.ts'
import { createReadiness } from '../src/readiness.ts'
import { SERVICE } from '../src/version.ts'

type Json = Record<string, unknown>

/** A route of the service, without the HEAD that Fastify adds to each GET. */
export interface Route {
  readonly method: string
  readonly url: string
  readonly schema: FastifySchema
}

/** Lists every route that the service can have, that is, with reset switched on. */
export async function listRoutes(): Promise<Route[]> {
  const neverCalled = () => {
    throw new Error('the description calls no route')
  }
  const app = createApp({
    log: pino({ level: 'silent' }),
    hosts: { host: '127.0.0.1', allowedHosts: [] },
    mask: (text) => text,
    readiness: createReadiness(),
    readStatus: neverCalled,
    readMetrics: neverCalled,
    onEvent: neverCalled,
    reset: { token: '', assertReady: neverCalled, reset: neverCalled },
  })
  const routes: Route[] = []
  app.addHook('onRoute', ({ method, url, schema }: RouteOptions) => {
    for (const one of [method].flat().filter((name) => name !== 'HEAD')) {
      if (schema === undefined) throw new Error(`${one} ${url} declares no schema`)
      routes.push({ method: one, url, schema })
    }
  })
  await app.ready()
  await app.close()
  return routes
}

/** Describes the routes as OpenAPI 3.1; schemas with an `$id` become components. */
export function describeRoutes(routes: readonly Route[]): Json {
  const schemas: Json = {}
  const paths: Record<string, Json> = {}
  for (const { method, url, schema } of routes) {
    const { summary, description, security, body, response } = schema
    paths[url] ??= {}
    paths[url][method.toLowerCase()] = {
      operationId: `${method.toLowerCase()}${url.replace(/\W+(\w)/g, (_, letter) => letter.toUpperCase())}`,
      summary,
      description,
      ...(security !== undefined && { security }),
      ...(body !== undefined && {
        requestBody: { required: false, content: { 'application/json': { schema: refer(body) } } },
      }),
      responses: Object.fromEntries(
        Object.entries(response as Record<string, Json>).map(([status, one]) => [
          status,
          describeResponse(status, one),
        ]),
      ),
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: SERVICE.name, version: SERVICE.version },
    paths,
    components: {
      schemas,
      securitySchemes: {
        resetToken: { type: 'http', scheme: 'bearer', description: 'RESET_TOKEN' },
      },
    },
  }

  function describeResponse(status: string, schema: Json): Json {
    if (schema.content !== undefined) return schema
    const mediaType = schema.$id === 'Problem' ? 'application/problem+json' : 'application/json'
    return {
      description: schema.description ?? STATUS_CODES[status] ?? '',
      content: { [mediaType]: { schema: refer(schema) } },
    }
  }

  /** Puts every schema with an `$id` among the components, and a reference in its place. */
  function refer(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(refer)
    if (typeof value !== 'object' || value === null) return value
    const { $id: id, ...rest } = value as Json
    const described = Object.fromEntries(
      Object.entries(rest).map(([key, member]) => [key, refer(member)]),
    )
    if (typeof id !== 'string') return described
    schemas[id] ??= described
    return { $ref: `#/components/schemas/${id}` }
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const [, , file] = argv
  if (file === undefined) throw new Error('usage: tsx scripts/openapi.ts FILE')
  writeFileSync(file, `${JSON.stringify(describeRoutes(await listRoutes()), null, 2)}\n`)
}
