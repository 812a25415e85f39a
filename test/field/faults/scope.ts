/** What a cell of the matrix opened, closed in the reverse order, as the teardown of a test is. */
export interface Scope {
  teardown(work: () => unknown): void
}

export async function withScope<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const closing: (() => unknown)[] = []
  try {
    return await work({ teardown: (close) => void closing.push(close) })
  } finally {
    for (const close of closing.reverse()) await close()
  }
}

/** Runs the jobs, so many of them at once, and keeps the order of their results. */
export async function runAtOnce<T, R>(
  count: number,
  jobs: readonly T[],
  run: (job: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const work = async () => {
    while (next < jobs.length) {
      const index = next++
      results[index] = await run(jobs[index] as T)
    }
  }
  await Promise.all(Array.from({ length: count }, work))
  return results
}
