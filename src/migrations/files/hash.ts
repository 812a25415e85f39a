import { createHash } from 'node:crypto'

/** The hash as graphile-migrate calculates it: over the previous hash and the trimmed body. */
export function calculateHash(body: string, previousHash: string | null): string {
  const text = body.trim()
  const first = previousHash ?? ''
  // In parts, because a body may have 100 MB.
  const hash = createHash('sha1').update(first === '' || text === '' ? first : `${first}\n`)
  return `sha1:${hash.update(text).update('\n').digest('hex')}`
}
