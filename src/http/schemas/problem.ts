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
    description: 'An error (RFC 9457), with further members that depend on its code.',
  },
)

export type Problem = Readonly<Static<typeof ProblemSchema>> & {
  readonly [extension: string]: unknown
}

/** The problem documents of one HTTP status, as a route declares them. */
export type ProblemResponse = typeof ProblemSchema & { readonly codes: readonly ErrorCode[] }

type StatusOf<Code extends ErrorCode> = (typeof ERROR_CODES)[Code] extends {
  readonly status: infer Status extends number
}
  ? Status
  : 500

/**
 * The responses of a route that answers these errors, by HTTP status. Those that every route can
 * answer are added by the description.
 */
export function problemResponses<Code extends ErrorCode>(
  ...codes: readonly Code[]
): { [Status in StatusOf<Code>]: ProblemResponse } {
  const byStatus: Record<number, ProblemResponse> = {}
  for (const code of codes) {
    const { status } = describeErrorCode(code)
    const others = byStatus[status]?.codes ?? []
    byStatus[status] = { ...ProblemSchema, codes: [...others, code] }
  }
  return byStatus as { [Status in StatusOf<Code>]: ProblemResponse }
}
