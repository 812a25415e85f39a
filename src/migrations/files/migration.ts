import { calculateHash } from './hash.ts'
import { readHeaders } from './headers.ts'
import { findIgnoredHeader, isOutsideTransaction } from './ignored-header.ts'
import { decodeText } from './text.ts'

/** A file of `migrations/committed`, as graphile-migrate reads it. */
export interface CommittedMigration {
  readonly number: number
  /** The file's full name. */
  readonly filename: string
  /** The name that graphile-migrate records in the database: the number alone, `000001.sql`. */
  readonly recordedAs: string
  /** The part of the filename after the number; null if there is none. */
  readonly slug: string | null
  readonly message: string | null
  readonly hash: string
  readonly previousHash: string | null
  /** The text that is hashed and run, before placeholders are replaced. */
  readonly body: string
  /** The line of the file on which the body begins, counted from 1. */
  readonly bodyLine: number
  /** It runs outside a transaction (`--! no-transaction`), so a failure may leave changes behind. */
  readonly noTransaction: boolean
  /** A line that looks like a header and is none, in words: refused while the file is pending. */
  readonly ignoredHeader: string | undefined
}

/** Why a file is not a committed migration. */
export interface UnreadableMigration {
  readonly problem: string
}

const CR = 'has lines that end with CR alone; convert them to LF'
const CRLF =
  'has CRLF line endings; convert them to LF (in .gitattributes: migrations/committed/*.sql -text)'

/** Splits a filename such as `000001-some-name.sql`; undefined if it is not a migration's. */
export function splitFilename(
  filename: string,
): { digits: string; slug: string | null } | undefined {
  const [, digits, slug] = /^([0-9]+)(?:-([-_a-zA-Z0-9]*))?\.sql$/.exec(filename) ?? []
  return digits === undefined ? undefined : { digits, slug: slug || null }
}

/** Parses one committed file, and verifies that its content still has the hash in its header. */
export function parseMigration(
  filename: string,
  bytes: Buffer,
): CommittedMigration | UnreadableMigration {
  const name = splitFilename(filename)
  if (name === undefined) {
    return { problem: 'is not named like a committed migration (000001-some-name.sql); remove it' }
  }
  const decoded = decodeText(bytes)
  if ('problem' in decoded) return decoded
  const { text } = decoded
  const { values, lineCount, repeated } = readHeaders(text)
  if (repeated !== undefined) return { problem: `has the header ${repeated} twice` }

  // Found by offsets: a file may have 100 MB, and an array of its lines twice that.
  const start = offsetOfLine(text, lineCount)
  const newline = text.indexOf('\n', start)
  const nextLine = newline === -1 ? text.slice(start) : text.slice(start, newline)
  if (/^[^\n]*\r(?!\n)/.test(text)) return { problem: CR }
  // The hash is taken over the trimmed text, so it does not cover the end of the last line.
  if (nextLine.endsWith('\r') || /\r\s*$/.test(text)) return { problem: CRLF }
  const ignoredHeader = findIgnoredHeader(text)
  const isCut = start > 0 && text[start - 1] !== '\n'
  if (nextLine !== '' || isCut) {
    const next = JSON.stringify(nextLine.slice(0, 100))
    const missing = `has no empty line after its headers, before line ${lineCount + 1}: ${next}`
    return { problem: ignoredHeader ?? missing }
  }
  const hash = values.get('Hash')
  const previous = values.get('Previous')
  if (!hash || !previous) {
    const missing = `has no header "--! ${hash ? 'Previous' : 'Hash'}: …"`
    return { problem: ignoredHeader ?? missing }
  }

  const rest = text.slice(start)
  const body = `${rest.trim()}\n`
  const previousHash = previous === '-' ? null : previous
  const actualHash = calculateHash(body, previousHash)
  if (values.has('AllowInvalidHash')) {
    // graphile-migrate rejects such a file, too.
    if (actualHash === hash) return { problem: 'has AllowInvalidHash, but its hash is valid' }
  } else if (actualHash !== hash) {
    if (body.includes('\r\n')) return { problem: CRLF }
    return { problem: `was changed: its header says ${hash}, its content has ${actualHash}` }
  }

  const blankLines = countNewlines(rest.slice(0, rest.length - rest.trimStart().length))
  return {
    number: Number(name.digits),
    filename,
    recordedAs: `${name.digits}.sql`,
    slug: name.slug,
    message: values.get('Message') || null,
    hash,
    previousHash,
    body,
    bodyLine: lineCount + blankLines + 1,
    noTransaction: isOutsideTransaction(body),
    ignoredHeader,
  }
}

function offsetOfLine(text: string, line: number): number {
  let offset = 0
  for (let left = line; left > 0; left--) {
    const newline = text.indexOf('\n', offset)
    if (newline === -1) return text.length
    offset = newline + 1
  }
  return offset
}

function countNewlines(text: string): number {
  return text.split('\n').length - 1
}
