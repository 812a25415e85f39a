/** Pauses before work that can wait for a moment. */
export interface Pauses {
  /** Resolves after a pause, or as soon as it is ended. */
  wait(): Promise<void>
  /** Ends the oldest one, if there is any. */
  endOldest(): void
}

/** Creates them; each takes at most so long. */
export function createPauses(pauseMs: number): Pauses {
  const ends = new Set<() => void>()
  return {
    wait: () =>
      new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer)
          ends.delete(end)
          resolve()
        }
        const timer = setTimeout(end, pauseMs)
        ends.add(end)
      }),
    endOldest() {
      const [oldest] = ends
      oldest?.()
    },
  }
}
