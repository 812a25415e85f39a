import fc from 'fast-check'
import type { Test } from 'tap'
import type { AnswerCheck, Description } from '../support/described.ts'
import { arbitraryRequest, listUsualRequests, type WireRequest } from './arbitrary-request.ts'
import { exchange } from './wire.ts'

/** The longest problem that a request may get whose path it does not repeat at length. */
const MAX_PROBLEM_LENGTH = 1500

export interface FuzzOptions {
  readonly address: string
  readonly description: Description
  readonly check: AnswerCheck
  readonly token: string
  readonly requests: number
}

/** Sends this many requests, several to a connection, and checks each answer. */
export async function fuzz(t: Test, options: FuzzOptions): Promise<void> {
  const { address, description, check, token, requests } = options
  const one = arbitraryRequest(description, token)
  const maxLength = 8
  const statuses = new Map<number, number>()
  let sent = 0
  const property = fc.asyncProperty(
    fc.array(one, { minLength: 1, maxLength }),
    fc.constantFrom('1.1', '1.1', '1.0'),
    async (several, version) => {
      // HTTP/1.0 has one request to a connection.
      const batch = version === '1.0' ? several.slice(0, 1) : several
      const answers = await exchange(address, batch, version)
      sent += batch.length
      if (answers.length === 0) throw new Error('no answer')
      const last = answers.at(-1)
      if (answers.length < batch.length && last?.headers.connection !== 'close') {
        throw new Error(`${answers.length} answers to ${batch.length} requests`)
      }
      for (const answer of answers) {
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
        if (answer.status >= 500) throw new Error(`${answer.status}: ${answer.body}`)
        const mismatch = check(answer)
        if (mismatch !== undefined) throw new Error(mismatch)
        if (answer.status >= 400 && answer.body.length > MAX_PROBLEM_LENGTH) {
          throw new Error(`a problem of ${answer.body.length} characters`)
        }
      }
    },
  )
  const seed = Number(process.env.FUZZ_SEED ?? Math.trunc(Math.random() * 2 ** 31))
  t.comment(`FUZZ_SEED=${seed}`)
  const examples = listUsualRequests(description, token).map((request): [WireRequest[], string] => [
    [request],
    '1.1',
  ])
  await fc.assert(property, { examples, numRuns: examples.length })
  while (sent < requests) {
    await fc.assert(property, { seed: seed + sent, numRuns: Math.ceil((requests - sent) / 3) })
  }
  t.comment(`${sent} requests`, Object.fromEntries([...statuses].sort()))
  for (const status of [200, 400, 401, 403, 404, 405])
    t.ok(statuses.has(status), `some got ${status}`)
}
