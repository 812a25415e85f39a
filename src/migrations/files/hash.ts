import { createHash } from 'node:crypto'

/** The hash of a body that is read in pieces. */
export interface BodyHash {
  update(text: string): void
  /** Returns the hash; nothing can be added afterwards. */
  digest(): string
}

/** The hash as graphile-migrate calculates it: over the previous hash and the trimmed body. */
export function calculateHash(body: string, previousHash: string | null): string {
  const hash = createBodyHash(previousHash)
  hash.update(body)
  return hash.digest()
}

/** Creates a hash as `calculateHash` calculates it. */
export function createBodyHash(previousHash: string | null): BodyHash {
  const first = previousHash ?? ''
  const hash = createHash('sha1').update(first)
  let isEmpty = true
  /** Blanks that belong to the body only if more of it follows. */
  let blanks = ''
  return {
    update(text) {
      const added = blanks + (isEmpty ? text.trimStart() : text)
      const trimmed = added.trimEnd()
      blanks = added.slice(trimmed.length)
      if (trimmed === '') return
      if (isEmpty && first !== '') hash.update('\n')
      isEmpty = false
      hash.update(trimmed)
    },
    digest: () => `sha1:${hash.update('\n').digest('hex')}`,
  }
}
