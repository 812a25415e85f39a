import { isUtf8 } from 'node:buffer'
import { countNewlines } from './lines.ts'

const NEWLINE = 0x0a
const NOTHING = Buffer.alloc(0)

/** Decodes a file of SQL that is read in pieces. */
export interface TextReader {
  /** Decodes the next piece, without a character that the next one completes; undefined if it is wrong. */
  read(piece: Buffer): string | undefined
  /** Says what is wrong with the file; undefined if nothing is. */
  finish(): string | undefined
}

/**
 * Decodes a file of SQL. A byte that is not UTF-8 would be read as U+FFFD, and different bytes as the
 * same text, so the hash would not notice a change between them.
 */
export function decodeText(bytes: Buffer): { text: string } | { problem: string } {
  const reader = createTextReader()
  const text = reader.read(bytes) ?? ''
  const problem = reader.finish()
  return problem === undefined ? { text } : { problem }
}

/** Creates a reader that decodes a file as `decodeText` does. */
export function createTextReader(): TextReader {
  let problem: string | undefined
  let nul: string | undefined
  let isFirst = true
  /** The beginning of a character that the last piece ended within. */
  let incomplete = NOTHING
  // Of the piece that is next, in the file.
  let offset = 0
  let line = 1
  let lineStart = 0
  /** The last piece: its lines are counted if there is another one, which most files do not have. */
  let uncounted = ''

  function countLast(): void {
    line += countNewlines(uncounted)
    const newline = uncounted.lastIndexOf('\n')
    if (newline !== -1) lineStart = offset - Buffer.byteLength(uncounted.slice(newline + 1))
    uncounted = ''
  }

  function describePlace(bytes: Buffer, at: number): string {
    const before = bytes.subarray(0, at)
    const newline = before.lastIndexOf(NEWLINE)
    const start = newline === -1 ? lineStart : offset + newline + 1
    return `line ${line + countNewlines(before.toString('latin1'))}, byte ${offset + at - start + 1}`
  }

  function check(bytes: Buffer): string | undefined {
    countLast()
    if (!isUtf8(bytes)) {
      const at = findInvalidByte(bytes)
      const byte = bytes[at]?.toString(16).toUpperCase().padStart(2, '0')
      return `is not UTF-8: ${describePlace(bytes, at)} is 0x${byte}; save it as UTF-8`
    }
    const at = nul === undefined ? bytes.indexOf(0) : -1
    if (at !== -1) {
      nul = `has a NUL byte, which PostgreSQL does not accept: ${describePlace(bytes, at)}; remove it`
    }
    offset += bytes.length
    return undefined
  }

  return {
    read(piece) {
      if (isFirst) problem = findWrongBeginning(piece)
      isFirst = false
      if (problem !== undefined) return undefined
      const bytes = incomplete.length === 0 ? piece : Buffer.concat([incomplete, piece])
      const end = bytes.length - countIncomplete(bytes)
      const isComplete = end === bytes.length
      incomplete = isComplete ? NOTHING : Buffer.from(bytes.subarray(end))
      const complete = isComplete ? bytes : bytes.subarray(0, end)
      problem = check(complete)
      if (problem !== undefined) return undefined
      uncounted = complete.toString('utf8')
      return uncounted
    },
    finish() {
      if (incomplete.length > 0) problem ??= check(incomplete)
      return problem ?? nul
    },
  }
}

function findWrongBeginning(bytes: Buffer): string | undefined {
  if (looksLikeUtf16(bytes)) return 'is UTF-16; save it as UTF-8'
  if (bytes[0] !== 0xef || bytes[1] !== 0xbb || bytes[2] !== 0xbf) return undefined
  return 'begins with a byte order mark (EF BB BF); save it as UTF-8 without one'
}

/** By its byte order mark, or because every second byte of what should be SQL is NUL. */
function looksLikeUtf16(bytes: Buffer): boolean {
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return true
  if (bytes.length < 4 || (bytes[0] && bytes[1] && bytes[2] && bytes[3])) return false
  const sample = bytes.subarray(0, 1000)
  return sample.filter((byte) => byte === 0).length >= sample.length / 3
}

/** Counts the bytes at the end that begin a character and do not complete it. */
function countIncomplete(bytes: Buffer): number {
  for (let count = 1; count <= Math.min(3, bytes.length); count++) {
    const byte = bytes[bytes.length - count] ?? 0
    if (byte < 0x80) return 0
    if (byte < 0xc0) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return length > count ? count : 0
  }
  return 0
}

/** The offset of the first byte that does not belong to a character. */
function findInvalidByte(bytes: Buffer): number {
  // Whether a prefix is valid tells only where characters end, so narrow it down to a line first.
  let start = 0
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    if (!isUtf8(bytes.subarray(start, end))) break
    start = end + 1
  }
  let offset = start
  for (const character of bytes.subarray(start).toString('utf8')) {
    const encoded = Buffer.from(character)
    if (!bytes.subarray(offset, offset + encoded.length).equals(encoded)) return offset
    offset += encoded.length
  }
  return offset
}
