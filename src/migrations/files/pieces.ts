import { open } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'

/** Small enough to be read, checked and hashed within a few milliseconds. */
export const PIECE_BYTES = 262_144

/**
 * Reads a file in pieces, so that its size is not the memory that it takes, and other work of the process
 * runs between them. A piece is valid until the next one is read.
 */
export async function* readPieces(path: string): AsyncGenerator<Buffer, void> {
  const file = await open(path)
  try {
    const buffer = Buffer.allocUnsafe(PIECE_BYTES)
    while (true) {
      let length = 0
      let bytesRead: number
      do {
        ;({ bytesRead } = await file.read(buffer, length, PIECE_BYTES - length))
        length += bytesRead
      } while (bytesRead > 0 && length < PIECE_BYTES)
      if (length > 0) yield buffer.subarray(0, length)
      if (length < PIECE_BYTES) return
    }
  } finally {
    await file.close()
  }
}

const MAX_STRETCH_MS = 8

/** Lets other work of the process run if this work has kept it for a while; undefined if it has not. */
export type Pause = () => Promise<void> | undefined

/** Returns the function to call between short stretches of one work. */
export function createPauses(): Pause {
  let startedAt = performance.now()
  const pause = async () => {
    await setImmediate()
    startedAt = performance.now()
  }
  return () => (performance.now() - startedAt < MAX_STRETCH_MS ? undefined : pause())
}
