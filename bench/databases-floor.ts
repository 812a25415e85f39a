import { setTimeout as sleep } from 'node:timers/promises'
import type { Subject } from './databases-subjects.ts'

/** So seldom that it takes a hundredth of the processor time. */
const PAUSE_MS = 50

/**
 * Asks for what no answer with a lease can be faster than, until the end of `isOver`, and returns how long each
 * took: an answer of the same service from memory, and one of the same server to `select 1`.
 */
export async function measureFloor(
  { askMemory, askServer }: Required<Pick<Subject, 'askMemory' | 'askServer'>>,
  isOver: () => boolean,
): Promise<number[]> {
  const floorMs: number[] = []
  while (!isOver()) {
    await sleep(PAUSE_MS)
    const askedAt = performance.now()
    await askMemory()
    await askServer()
    floorMs.push(performance.now() - askedAt)
  }
  return floorMs
}
