import { isUtf8 } from 'node:buffer'

const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * Decodes a file of SQL. A byte that is not UTF-8 would be read as U+FFFD, and different bytes as the
 * same text, so the hash would not notice a change between them.
 */
export function decodeText(bytes: Buffer): { text: string } | { problem: string } {
  const problem = findEncodingProblem(bytes)
  return problem === undefined ? { text: bytes.toString('utf8') } : { problem }
}

function findEncodingProblem(bytes: Buffer): string | undefined {
  if (looksLikeUtf16(bytes)) return 'is UTF-16; save it as UTF-8'
  if (bytes.subarray(0, BOM.length).equals(BOM)) {
    return 'begins with a byte order mark (EF BB BF); save it as UTF-8 without one'
  }
  if (!isUtf8(bytes)) {
    const at = findInvalidByte(bytes)
    const byte = bytes[at]?.toString(16).toUpperCase().padStart(2, '0')
    return `is not UTF-8: ${describePlace(bytes, at)} is 0x${byte}; save it as UTF-8`
  }
  const nul = bytes.indexOf(0)
  if (nul === -1) return undefined
  return `has a NUL byte, which PostgreSQL does not accept: ${describePlace(bytes, nul)}; remove it`
}

/** By its byte order mark, or because every second byte of what should be SQL is NUL. */
function looksLikeUtf16(bytes: Buffer): boolean {
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return true
  const sample = bytes.subarray(0, 1000)
  if (sample.length < 4 || !sample.subarray(0, 4).includes(0)) return false
  return sample.filter((byte) => byte === 0).length >= sample.length / 3
}

/** The offset of the first byte that does not belong to a character. */
function findInvalidByte(bytes: Buffer): number {
  // Whether a prefix is valid tells only where characters end, so narrow it down to a line first.
  let start = 0
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, start)) {
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

function describePlace(bytes: Buffer, offset: number): string {
  const before = bytes.subarray(0, offset)
  const line = before.filter((byte) => byte === 0x0a).length + 1
  return `line ${line}, byte ${offset - before.lastIndexOf(0x0a)}`
}
