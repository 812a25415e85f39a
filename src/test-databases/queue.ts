/** Requests that wait for something that becomes free: served in their order, each until its own deadline. */
export interface Queue<T> {
  /** Resolves with what an attempt returned; rejects with its error, or at the deadline or the abort. */
  wait(options: WaitOptions<T>): Promise<T>
  /** Tries again, because something may have become free. */
  wake(): void
  /** Rejects everything that waits. */
  rejectAll(error: unknown): void
}

export interface WaitOptions<T> {
  readonly waitMs: number
  /** Returns undefined if nothing is free. */
  readonly attempt: () => Promise<T | undefined>
  /** Called with what came too late, because the wait had ended during the attempt. */
  readonly onUnwanted: (result: T) => void
  /** Creates the error of a wait that was too long. */
  readonly createTimeoutError: () => Promise<unknown>
  /** Ends the wait; the promise rejects with the signal's reason. */
  readonly signal: AbortSignal
}

interface Entry<T> {
  readonly options: WaitOptions<T>
  /** Ends the wait, once. */
  settle(end: { readonly result: T } | { readonly error: unknown }): void
  isSettled: boolean
  isLate: boolean
}

/** What another service gives back is noticed this soon. */
const POLL_MS = 200

export function createQueue<T>(): Queue<T> {
  const entries = new Set<Entry<T>>()
  let poll: NodeJS.Timeout | undefined
  let trying: Entry<T> | undefined
  let mustTryAgain = false

  async function tryAll(): Promise<void> {
    mustTryAgain = true
    if (trying !== undefined) return
    while (mustTryAgain) {
      mustTryAgain = false
      for (const entry of entries) {
        trying = entry
        const isServed = await tryOnce(entry)
        trying = undefined
        if (!isServed) break
      }
    }
    clearTimeout(poll)
    if (entries.size > 0) poll = setTimeout(() => void tryAll(), POLL_MS)
  }

  /** Returns false if nothing is free. */
  async function tryOnce(entry: Entry<T>): Promise<boolean> {
    const { options } = entry
    try {
      const result = await options.attempt()
      if (result === undefined) {
        if (entry.isLate) await reject(entry)
        return false
      }
      if (entry.isSettled) options.onUnwanted(result)
      entry.settle({ result })
    } catch (error) {
      entry.settle({ error })
    }
    return true
  }

  function timeOut(entry: Entry<T>): void {
    entry.isLate = true
    // An attempt that is running may still succeed.
    if (trying !== entry) void reject(entry)
  }

  async function reject(entry: Entry<T>): Promise<void> {
    const error = await entry.options.createTimeoutError().catch((failure) => failure)
    entry.settle({ error })
  }

  return {
    wait(options) {
      const { signal, waitMs } = options
      return new Promise<T>((resolve, reject) => {
        const onAbort = () => entry.settle({ error: signal.reason })
        const timer = setTimeout(() => timeOut(entry), waitMs)
        const entry: Entry<T> = {
          options,
          isSettled: false,
          isLate: false,
          settle(end) {
            if (entry.isSettled) return
            entry.isSettled = true
            entries.delete(entry)
            clearTimeout(timer)
            signal.removeEventListener('abort', onAbort)
            if ('result' in end) resolve(end.result)
            else reject(end.error)
          },
        }
        signal.addEventListener('abort', onAbort)
        if (signal.aborted) return onAbort()
        entries.add(entry)
        void tryAll()
      })
    },
    wake: () => void tryAll(),
    rejectAll(error) {
      clearTimeout(poll)
      for (const entry of entries) entry.settle({ error })
    },
  }
}
