import type { ErrorObject, ValidateFunction } from 'ajv'
import type { FastifyServerOptions } from 'fastify'
import type { TSchema } from 'typebox'
import { ServiceError } from '../errors/service-error.ts'
import { MEANINGS } from './schemas/patterns.ts'

type Compilers = NonNullable<
  NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']
>

/**
 * Fastify's own compilers load ajv and fast-json-stringify, a third of its start. Here the first
 * request with a body loads ajv. Responses are few and small: their types are checked when the
 * service is compiled, and they are written by JSON.stringify. Parameters are for their routes to check: one
 * that names nothing is not found.
 */
export const lazyCompilers = {
  buildValidator:
    () =>
    ({ schema, httpPart }: { schema: TSchema; httpPart: string }) =>
      httpPart === 'body' ? createLazyValidator(schema) : () => true,
  buildSerializer: () => () => JSON.stringify,
  // Fastify's types know no compilers but its own.
} as unknown as Compilers

/** Creates a validator of bodies that rejects with `body_wrong`, naming everything that is wrong. */
function createLazyValidator(schema: TSchema): (body: unknown) => Promise<boolean> {
  let compiled: Promise<ValidateFunction> | undefined
  return async (body) => {
    compiled ??= compile(schema).catch((error) => {
      // Otherwise Fastify would blame the request.
      throw Object.assign(error, { statusCode: 500 })
    })
    const validate = await compiled
    if (validate(body)) return true
    throw bodyWrongError((validate.errors ?? []).map(describeMismatch).join('; '))
  }
}

async function compile(schema: TSchema): Promise<ValidateFunction> {
  // By its default export: in the bundle, a CommonJS module that is imported late has no other.
  const { default: ajv } = await import('ajv')
  return new ajv.Ajv({ allErrors: true, verbose: true }).compile(schema)
}

/** The error for a body that the route does not accept. */
export function bodyWrongError(found: string): ServiceError {
  return new ServiceError('body_wrong', `the body is wrong: ${found}`)
}

const TYPES: Readonly<Record<string, string>> = {
  object: 'a JSON object',
  integer: 'a whole number',
  boolean: 'true or false',
  string: 'a text',
}

/** Says what was expected and what was found, instead of ajv's words. */
function describeMismatch(error: ErrorObject): string {
  const { instancePath, keyword, message, params, parentSchema, data } = error
  const name = instancePath.slice(1) || 'the body'
  const found = shorten(JSON.stringify(data))
  switch (keyword) {
    case 'additionalProperties': {
      const known = Object.keys(parentSchema?.properties ?? {}).join(', ')
      return `it has the unknown member ${shorten(params.additionalProperty)}, expected only ${known}`
    }
    case 'required':
      return `${params.missingProperty} is missing`
    case 'enum':
      return `${name} must be ${params.allowedValues.join(' or ')}, found ${found}`
    case 'type':
      return `${name} must be ${TYPES[params.type] ?? `of the type ${params.type}`}, found ${found}`
    case 'minimum':
    case 'maximum':
      return `${name} must be from ${parentSchema?.minimum} to ${parentSchema?.maximum}, found ${found}`
    case 'maxLength':
      return `${name} must have at most ${params.limit} characters, found ${[...String(data)].length}`
    case 'pattern':
      return `${name} must be ${MEANINGS[params.pattern] ?? `like ${params.pattern}`}, found ${found}`
    default:
      return `${name} ${message}`
  }
}

function shorten(text: string): string {
  return text.length > 50 ? `${text.slice(0, 50)}…` : text
}
