/** A call that waits for its turn. */
interface Waiting<In, Out> {
  readonly input: In
  resolve(output: Out): void
  reject(error: unknown): void
}

/**
 * Joins calls: those that come while one runs are served by the next one together. `run` returns what belongs to
 * each input, in their order; what it throws, all of them get.
 */
export function createBatches<In, Out>(
  run: (inputs: readonly In[]) => Promise<readonly Out[]>,
): (input: In) => Promise<Out> {
  let waiting: Waiting<In, Out>[] = []
  let isRunning = false

  async function runAll(): Promise<void> {
    isRunning = true
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        const outputs = await run(batch.map(({ input }) => input))
        for (const [index, { resolve }] of batch.entries()) resolve(outputs[index] as Out)
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    isRunning = false
  }

  return (input) =>
    new Promise((resolve, reject) => {
      waiting.push({ input, resolve, reject })
      if (!isRunning) void runAll()
    })
}
