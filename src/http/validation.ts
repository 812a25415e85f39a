import type { ErrorObject, ValidateFunction } from 'ajv'
import type { FastifyServerOptions } from 'fastify'
import type { TSchema } from 'typebox'
import { ServiceError } from '../errors/service-error.ts'

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

/** Says what a person would, instead of ajv's words. */
function describeMismatch({ instancePath, keyword, message, params, parentSchema }: ErrorObject) {
  const name = instancePath.slice(1) || 'the body'
  switch (keyword) {
    case 'additionalProperties':
      return `it has the unknown member ${shorten(params.additionalProperty)}`
    case 'enum':
      return `${name} must be ${params.allowedValues.join(' or ')}`
    case 'type':
      return `${name} must be ${TYPES[params.type] ?? `of the type ${params.type}`}`
    case 'minimum':
    case 'maximum':
      return `${name} must be from ${parentSchema?.minimum} to ${parentSchema?.maximum}`
    default:
      return `${name} ${message}`
  }
}

function shorten(name: string): string {
  return name.length > 50 ? `${name.slice(0, 50)}…` : name
}
