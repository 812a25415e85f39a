import { createHash, type Hash, hash } from 'node:crypto'

/** The hash of a body that is read in pieces. */
export interface BodyHash {
  update(text: string): void
  /** Returns the hash; nothing can be added afterwards. */
  digest(): string
}

/** The hash as graphile-migrate calculates it: over the previous hash and the trimmed body. */
export function calculateHash(body: string, previousHash: string | null): string {
  const bodyHash = createBodyHash(previousHash)
  bodyHash.update(body)
  return bodyHash.digest()
}

/** Creates a hash as `calculateHash` calculates it. */
export function createBodyHash(previousHash: string | null): BodyHash {
  const first = previousHash ?? ''
  /** What was not hashed yet: most files are hashed in one call, which takes half the time. */
  let waiting = first
  let earlier: Hash | undefined
  let isEmpty = true
  /** Blanks that belong to the body only if more of it follows. */
  let blanks = ''
  return {
    update(text) {
      const added = blanks + (isEmpty ? text.trimStart() : text)
      const trimmed = added.trimEnd()
      blanks = added.slice(trimmed.length)
      if (trimmed === '') return
      if (!isEmpty) {
        earlier ??= createHash('sha1')
        earlier.update(waiting)
        waiting = ''
      }
      if (isEmpty && first !== '') waiting += '\n'
      isEmpty = false
      waiting += trimmed
    },
    digest() {
      const rest = `${waiting}\n`
      return `sha1:${earlier === undefined ? hash('sha1', rest) : earlier.update(rest).digest('hex')}`
    },
  }
}
