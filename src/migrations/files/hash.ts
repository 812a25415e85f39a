import { createHash } from 'node:crypto'

/** The hash as graphile-migrate calculates it: over the previous hash and the trimmed body. */
export function calculateHash(body: string, previousHash: string | null): string {
  const content = `${`${previousHash ?? ''}\n${body.trim()}`.trim()}\n`
  return `sha1:${createHash('sha1').update(content).digest('hex')}`
}
