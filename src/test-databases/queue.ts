/** Requests that wait for something that becomes free: served in their order, each until its own deadline. */
export interface Queue<R, T> {
  /** Resolves with what an attempt returned; rejects with its error, or at the deadline or the abort. */
  wait(request: R, options: WaitOptions<T>): Promise<T>
  /** Tries again, because something may have become free. */
  wake(): void
  /** Rejects everything that waits. */
  rejectAll(error: unknown): void
}

/** Serves the first of these requests, in their order: as many as something is free for. */
export type AttemptAll<R, T> = (requests: readonly R[]) => Promise<readonly T[]>

export interface WaitOptions<T> {
  readonly waitMs: number
  /** Called with what came too late, because the wait had ended during the attempt. */
  readonly onUnwanted: (result: T) => void
  /** Creates the error of a wait that was too long. */
  readonly createTimeoutError: () => Promise<unknown>
  /** Ends the wait; the promise rejects with the signal's reason. */
  readonly signal: AbortSignal
}

interface Entry<R, T> {
  readonly request: R
  readonly options: WaitOptions<T>
  /** Ends the wait, once. */
  settle(end: { readonly result: T } | { readonly error: unknown }): void
  isSettled: boolean
  isLate: boolean
}

/** What another service gives back is noticed this soon. */
const POLL_MS = 200

export function createQueue<R, T>(attemptAll: AttemptAll<R, T>): Queue<R, T> {
  const entries = new Set<Entry<R, T>>()
  let poll: NodeJS.Timeout | undefined
  /** The entries of the attempt that is running. */
  let trying: readonly Entry<R, T>[] = []
  let isTrying = false
  let mustTryAgain = false

  async function tryAll(): Promise<void> {
    mustTryAgain = true
    if (isTrying) return
    isTrying = true
    while (mustTryAgain && entries.size > 0) {
      mustTryAgain = false
      trying = [...entries]
      await tryThese(trying)
      trying = []
    }
    isTrying = false
    clearTimeout(poll)
    if (entries.size > 0) poll = setTimeout(() => void tryAll(), POLL_MS)
  }

  async function tryThese(tried: readonly Entry<R, T>[]): Promise<void> {
    try {
      const results = await attemptAll(tried.map(({ request }) => request))
      for (const [index, entry] of tried.entries()) {
        const result = results[index]
        if (result !== undefined) serve(entry, result)
        else if (entry.isLate) await reject(entry)
      }
    } catch (error) {
      for (const entry of tried) entry.settle({ error })
    }
  }

  function serve(entry: Entry<R, T>, result: T): void {
    if (entry.isSettled) entry.options.onUnwanted(result)
    entry.settle({ result })
  }

  function timeOut(entry: Entry<R, T>): void {
    entry.isLate = true
    // An attempt that is running may still succeed.
    if (!trying.includes(entry)) void reject(entry)
  }

  async function reject(entry: Entry<R, T>): Promise<void> {
    const error = await entry.options.createTimeoutError().catch((failure) => failure)
    entry.settle({ error })
  }

  return {
    wait(request, options) {
      const { signal, waitMs } = options
      return new Promise<T>((resolve, reject) => {
        const onAbort = () => entry.settle({ error: signal.reason })
        const timer = setTimeout(() => timeOut(entry), waitMs)
        const entry: Entry<R, T> = {
          request,
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
