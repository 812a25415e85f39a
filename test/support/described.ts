// Holds answers against the OpenAPI description: what a test receives must be what is described.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { CODES_OF_EVERY_ROUTE, CODES_WITHOUT_ROUTE } from '../../src/http/schemas/common-codes.ts'
import { projectDir } from './server.ts'

type Json = Record<string, unknown>

interface Header {
  readonly required?: boolean
  readonly schema: Json
}

interface Response {
  readonly headers?: Record<string, Header | { readonly $ref: string }>
  readonly content?: Record<string, { readonly schema: Json }>
}

interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly tags: readonly string[]
  readonly security: readonly unknown[]
  readonly requestBody?: { readonly content: Record<string, { readonly example?: unknown }> }
  readonly responses: Record<string, Response>
}

export interface Description {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: {
    readonly schemas: Record<string, Json>
    readonly headers: Record<string, Header>
  }
}

/** An answer as its client sees it. */
export interface SeenAnswer {
  readonly method: string
  readonly url: string
  readonly status: number
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

export type AnswerCheck = (answer: SeenAnswer) => string | undefined

const PROBLEM: Response = {
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
}
const CODES: readonly string[] = [...CODES_OF_EVERY_ROUTE, ...CODES_WITHOUT_ROUTE]

/** Reads the description that the build made. */
export function readBuiltDescription(): Description {
  const zipped = readFileSync(join(projectDir, 'dist/src/api-docs/openapi.json.gz'))
  return JSON.parse(gunzipSync(zipped).toString())
}

/** Creates a function that says how an answer differs from its description, if it does. */
export function createAnswerCheck({ paths, components }: Description): AnswerCheck {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  ajv.addFormat('uuid', /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  ajv.addFormat('date-time', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
  const validators = new Map<Json, ValidateFunction>()
  const patterns = Object.keys(paths).map((path) => ({
    path,
    // The router takes an empty parameter for one.
    pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]*')}$`),
  }))

  function validatorOf(schema: Json): ValidateFunction {
    const found = validators.get(schema)
    if (found !== undefined) return found
    const schemas = collectReferred(schema, components.schemas)
    const created = ajv.compile(close({ allOf: [schema], components: { schemas } }) as Json)
    validators.set(schema, created)
    return created
  }

  function findMismatch(answer: SeenAnswer): string | undefined {
    const { status, headers, body } = answer
    const [path = ''] = answer.url.split('?')
    const method = answer.method === 'HEAD' ? 'get' : answer.method.toLowerCase()
    const described = patterns.find(({ pattern }) => pattern.test(path))?.path ?? ''
    const operation = paths[described]?.[method]
    const response = operation === undefined ? PROBLEM : operation.responses[status]
    if (response === undefined) return 'this status is not described'

    for (const [name, header] of Object.entries(response.headers ?? {})) {
      const { required, schema } =
        '$ref' in header
          ? (components.headers[header.$ref.split('/').pop() ?? ''] as Header)
          : header
      const value = headers[name.toLowerCase()]
      if (value === undefined && !required) continue
      const read = schema.type === 'integer' ? Number(value) : value
      if (!validatorOf(schema)(read)) return `the header ${name} is ${String(value)}`
    }
    if (response.content === undefined) return body === '' ? undefined : 'it has a body'

    const given = String(headers['content-type']).split(';')[0] ?? ''
    const media = Object.keys(response.content).find((range) => isWithin(given, range))
    if (media === undefined) return `its type is ${given}`
    if (answer.method === 'HEAD') return body === '' ? undefined : 'it has a body'
    if (!given.endsWith('json')) return undefined
    const value = JSON.parse(body)
    if (given === 'application/problem+json' && value.status !== status) return 'another status'
    if (operation === undefined && !CODES.includes(value.code)) return 'a code of a route'
    const validate = validatorOf(response.content[media]?.schema ?? {})
    return validate(value) ? undefined : ajv.errorsText(validate.errors)
  }

  return (answer) => {
    const mismatch = findMismatch(answer)
    if (mismatch === undefined) return undefined
    const { method, url, status, body } = answer
    return `${method} ${url.slice(0, 100)} ${status} is not as described: ${mismatch}; ${body.slice(0, 500)}`
  }
}

function isWithin(type: string, range: string): boolean {
  return range.endsWith('/*') ? type.startsWith(range.slice(0, -1)) : type === range
}

/** The components that a schema refers to, directly or not: compiling all takes 100 ms. */
function collectReferred(
  schema: unknown,
  all: Readonly<Record<string, Json>>,
  found: Record<string, Json> = {},
): Record<string, Json> {
  for (const [, name = ''] of JSON.stringify(schema).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    const referred = all[name]
    if (referred === undefined || name in found) continue
    found[name] = referred
    collectReferred(referred, all, found)
  }
  return found
}

/** Clients ignore members that they do not know; here, each must be described. */
function close(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(close)
  if (typeof value !== 'object' || value === null) return value
  const closed = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, close(one)]))
  const isOpen = 'additionalProperties' in closed || 'allOf' in closed
  return 'properties' in closed && !isOpen ? { ...closed, additionalProperties: false } : closed
}
