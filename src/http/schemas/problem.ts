import { type Static, Type } from 'typebox'
import { describeErrorCode, type ERROR_CODES, type ErrorCode } from '../../errors/codes.ts'

/** An error response (RFC 9457) with a stable `code`. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String({ description: 'The text of the HTTP status.' }),
    status: Type.Integer(),
    detail: Type.String({ description: 'For people; may be reworded.' }),
    code: Type.String({ description: 'Never changes its meaning.' }),
  },
  {
    $id: 'Problem',
    additionalProperties: true,
    description: 'RFC 9457, with further members that depend on the code.',
  },
)

export type Problem = Readonly<Static<typeof ProblemSchema>> & {
  readonly [extension: string]: unknown
}

type StatusOf<Code extends ErrorCode> = (typeof ERROR_CODES)[Code] extends {
  readonly status: infer Status extends number
}
  ? Status
  : 500

/** The responses of a route that answers these errors, by HTTP status. */
export function problemResponses<Code extends ErrorCode>(
  ...codes: readonly Code[]
): { [Status in StatusOf<Code>]: typeof ProblemSchema } {
  const entries = codes.map((code) => ({ code, ...describeErrorCode(code) }))
  const describe = (status: number) =>
    entries
      .filter((entry) => entry.status === status)
      .map(({ code, meaning }) => `\`${code}\`: ${meaning}`)
      .join('\n\n')
  const responses = entries.map(({ status }) => [
    status,
    { ...ProblemSchema, description: describe(status) },
  ])
  return Object.fromEntries(responses)
}
