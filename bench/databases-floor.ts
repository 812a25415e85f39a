import { setTimeout as sleep } from 'node:timers/promises'
import type { Subject } from './databases-subjects.ts'

/** Rarely enough to take a hundredth of the processor time. */
const PAUSE_MS = 50

/**
 * Measures what no answer with a lease can beat, until `isOver` returns true, and returns the durations in ms: an answer
 * of the same service from memory, and one of the same server to `select 1`.
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
