import { setTimeout as sleep } from 'node:timers/promises'

const DEADLINE_MS = 90_000

/** Waits for the condition; fails with `what` rather than by the test's time limit. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`did not happen within 90 s: ${what}`)
    await sleep(20)
  }
}

/** Waits for the promise; fails with `what` rather than by the test's time limit. */
export async function settled<T>(what: string, promise: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const late = sleep(DEADLINE_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`did not happen within 90 s: ${what}`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    timer.abort()
    await late.catch(() => {})
  }
}
