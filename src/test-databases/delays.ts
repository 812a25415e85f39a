/** Delays of work that can wait for a moment. */
export interface Delays {
  /** Resolves after the delay, or when it is ended. */
  wait(): Promise<void>
  /** Ends the oldest one, if there is any. */
  endOldest(): void
}

/** Creates them; none takes longer than this. */
export function createDelays(delayMs: number): Delays {
  const ends = new Set<() => void>()
  return {
    wait: () =>
      new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer)
          ends.delete(end)
          resolve()
        }
        const timer = setTimeout(end, delayMs)
        ends.add(end)
      }),
    endOldest() {
      const [oldest] = ends
      oldest?.()
    },
  }
}
