// The problem documents in the description: one schema and one example for each code.
import { STATUS_CODES } from 'node:http'
import { Type } from 'typebox'
import { describeErrorCode, type ErrorCode } from '../../src/errors/codes.ts'
import { createProblem } from '../../src/http/problem.ts'
import { ProblemSchema } from '../../src/http/schemas/problem.ts'
import { PROBLEM_DETAILS, type ProblemDetails } from '../../src/http/schemas/problem-details.ts'
import type { Components, Json } from './components.ts'
import { describeHeaders } from './headers.ts'

/** Describes the response of one status that has one of these codes. */
export function describeProblems(
  status: number,
  codes: readonly ErrorCode[],
  components: Components,
): Json {
  const entries = codes.map((code) => ({ code, name: nameOf(code), details: detailsOf(code) }))
  const headers = entries.flatMap(({ details }) => Object.entries(details.headers ?? {}))
  const references = entries.map(({ code, name }) =>
    components.add(name, () => describeProblem(code, components)),
  )
  const mapping = entries.map(({ code, name }) => [code, `#/components/schemas/${name}`])
  const examples = entries.map(({ code }) => [code, { value: createExample(code) }])
  return {
    description: codes
      .map((code) => `\`${code}\`: ${describeErrorCode(code).meaning}`)
      .join('\n\n'),
    ...(headers.length > 0 && {
      headers: describeHeaders(Object.fromEntries(headers), entries.length > 1),
    }),
    content: {
      'application/problem+json': {
        schema:
          references.length === 1
            ? references[0]
            : {
                title: STATUS_CODES[status],
                oneOf: references,
                discriminator: { propertyName: 'code', mapping: Object.fromEntries(mapping) },
              },
        examples: Object.fromEntries(examples),
      },
    },
  }
}

/** `RouteNotFoundProblem` for `route_not_found`. */
function nameOf(code: ErrorCode): string {
  return `${code.replace(/(?:^|_)(\w)/g, (_, letter) => letter.toUpperCase())}Problem`
}

/** An error that is not the client's is in the log. */
const REQUEST_ID = {
  schema: Type.String({ description: 'The log says more about it, under the same id.' }),
  example: 'deploy-4711',
}

function detailsOf(code: ErrorCode): ProblemDetails {
  const details = PROBLEM_DETAILS[code]
  if (details === undefined) {
    throw new Error(`${code} can be an answer, so src/http/schemas/problem-details.ts must have it`)
  }
  if (describeErrorCode(code).status < 500) return details
  return { ...details, members: { ...details.members, requestId: REQUEST_ID } }
}

function describeProblem(code: ErrorCode, components: Components): Json {
  const members = Object.entries(detailsOf(code).members ?? {})
  const { status, meaning } = describeErrorCode(code)
  const own = members.map(([name, { schema }]) => [name, components.refer(schema)])
  const required = members.filter(([, { isOptional }]) => !isOptional).map(([name]) => name)
  return {
    description: meaning,
    allOf: [components.refer(ProblemSchema)],
    type: 'object',
    properties: { status: { const: status }, code: { const: code }, ...Object.fromEntries(own) },
    required: ['status', 'code', ...required],
  }
}

function createExample(code: ErrorCode): Json {
  const { detail, members = {} } = detailsOf(code)
  const own = Object.entries(members).map(([name, { example }]) => [name, example])
  return createProblem(code, detail, Object.fromEntries(own))
}
