import { ServiceError } from '../../src/errors/service-error.ts'

/** The tool's limit. */
const MAX_LENGTH = 512

/** Checks the message of a commit, which becomes a header line of the migration and a part of its name. */
export function readMessage(given: string | undefined): string {
  const message = given?.trim()
  if (!message) {
    throw new ServiceError(
      'commit_message_missing',
      'a commit needs a message: npm run db:commit -- "Add a status"',
    )
  }
  const problem = /\p{Cc}/u.test(message)
    ? 'has several lines or control characters'
    : message.length > MAX_LENGTH
      ? `has ${message.length} characters`
      : undefined
  if (problem === undefined) return message
  throw new ServiceError(
    'commit_message_wrong',
    `expected a message of one line with at most ${MAX_LENGTH} characters, since it becomes a header of the migration; ` +
      `this one ${problem}: write the rest as comments in current.sql`,
  )
}

/** `unicode` for `✓ ünïcode`: the part of the message that is in the name of the file, without accents. */
export function slugOf(message: string): string {
  return message
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .slice(0, 60)
    .replace(/^-+|-+$/g, '')
}
