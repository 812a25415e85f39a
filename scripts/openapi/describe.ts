import { STATUS_CODES } from 'node:http'
import { describeErrorCode, type ErrorCode } from '../../src/errors/codes.ts'
import { CODES_OF_EVERY_ROUTE } from '../../src/http/schemas/common-codes.ts'
import { SERVICE } from '../../src/version.ts'
import { type Components, createComponents, type Json } from './components.ts'
import { describeHeaders } from './headers.ts'
import { describeProblems } from './problems.ts'
import type { Route } from './routes.ts'
import { INFO, REQUEST_ID_HEADER, REQUEST_ID_PARAMETER, SECURITY_SCHEMES, TAGS } from './texts.ts'

type Content = Readonly<Record<string, { readonly schema: Json }>>

/** Describes the routes as OpenAPI 3.1; schemas with an `$id` become components. */
export function describeRoutes(routes: readonly Route[]): Json {
  const components = createComponents()
  const paths: Record<string, Json> = {}
  for (const route of routes) {
    const path = route.url.replace(/:(\w+)/g, '{$1}')
    paths[path] ??= {}
    paths[path][route.method.toLowerCase()] = describeOperation(route, components)
  }
  const text = JSON.stringify(paths)
  const isUsed = ([name]: readonly [string, unknown]) => text.includes(`"${name}":[]`)
  return {
    openapi: '3.1.0',
    info: { title: SERVICE.name, version: SERVICE.version, ...INFO },
    servers: [{ url: '.', description: 'Where this description comes from.' }],
    tags: TAGS.filter(({ name }) => text.includes(`"tags":["${name}"]`)),
    paths,
    components: {
      parameters: { RequestId: REQUEST_ID_PARAMETER },
      headers: { RequestId: REQUEST_ID_HEADER },
      schemas: Object.fromEntries(Object.entries(components.schemas).sort()),
      securitySchemes: Object.fromEntries(Object.entries(SECURITY_SCHEMES).filter(isUsed)),
    },
  }
}

function describeOperation({ method, url, schema }: Route, components: Components): Json {
  const { summary, description, tags, security, body } = schema
  const parameters = [
    ...describeParameters('path', schema.params, components),
    ...describeParameters('query', schema.querystring, components),
    ...describeParameters('header', schema.headers, components),
    { $ref: '#/components/parameters/RequestId' },
  ]
  return {
    operationId: schema.operationId ?? nameOperation(method, url),
    tags,
    summary,
    description,
    security: security ?? [],
    parameters,
    ...(body !== undefined && {
      requestBody: {
        required: false,
        content: describeContent('application/json', body as Json, components),
      },
    }),
    responses: describeResponses(schema, components),
  }
}

/** `postReset` for `POST /reset`, `getDatabasesId` for `GET /databases/:id`. */
function nameOperation(method: string, url: string): string {
  const path = url.replace(/\W+(\w)/g, (_, letter) => letter.toUpperCase())
  return `${method.toLowerCase()}${path}`
}

function describeParameters(place: string, schema: unknown, components: Components): Json[] {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema: components.refer(rest),
  }))
}

/** The responses that the route declares, and the problems that any route can answer with. */
function describeResponses(schema: Route['schema'], components: Components): Json {
  const declared = Object.entries((schema.response ?? {}) as Record<string, Json>)
  const isProblem = ([, one]: readonly [string, Json]) => one.codes !== undefined
  const codes = new Set<ErrorCode>([
    ...CODES_OF_EVERY_ROUTE,
    ...declared.filter(isProblem).flatMap(([, one]) => one.codes as ErrorCode[]),
  ])
  const statuses = new Set([...codes].map((code) => describeErrorCode(code).status))
  const answers = declared
    .filter((one) => !isProblem(one))
    .map(([status, one]) => [status, describeAnswer(status, one, schema, components)] as const)
  const problems = [...statuses]
    // A route may answer a status in a form of its own, as /readyz does 503.
    .filter((status) => !answers.some(([answered]) => answered === String(status)))
    .map((status) => {
      const own = [...codes].filter((code) => describeErrorCode(code).status === status)
      return [String(status), describeProblems(status, own, components)] as const
    })
  return Object.fromEntries(
    [...answers, ...problems].map(([status, { description, headers = {}, content }]) => [
      status,
      { description, headers: { ...(headers as Json), ...REQUEST_ID }, content },
    ]),
  )
}

const REQUEST_ID = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } }

function describeAnswer(
  status: string,
  answer: Json,
  { responseHeaders }: Route['schema'],
  components: Components,
): Json {
  const headers = responseHeaders?.[Number(status)]
  return {
    description: answer.description ?? STATUS_CODES[status] ?? '',
    ...(headers !== undefined && { headers: describeHeaders(headers) }),
    ...describeBody(answer, components),
  }
}

/** What is not JSON is declared by its `content`, as Fastify has it; null is no body. */
function describeBody(answer: Json, components: Components): Json {
  if (answer.type === 'null') return {}
  const declared = (answer.content ?? { 'application/json': { schema: answer } }) as Content
  const contents = Object.entries(declared).map(([mediaType, { schema }]) =>
    describeContent(mediaType, schema, components),
  )
  return { content: Object.assign({}, ...contents) }
}

/** A body; the examples of its schema belong to the media type, where viewers look for them. */
function describeContent(mediaType: string, schema: Json, components: Components): Json {
  const { examples, ...rest } = schema as { examples?: readonly unknown[] }
  return {
    [mediaType]: {
      schema: components.refer(rest),
      ...(examples !== undefined && { example: examples[0] }),
    },
  }
}
