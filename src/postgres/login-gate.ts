import { isCredentialsRejected } from './connection/errors.ts'

/** Pauses between logins with the same rejected credentials; the last one is repeated. */
const PAUSES_MS = [1000, 2000, 4000, 5000] as const

/** Spaces out logins with credentials that the server has rejected; other credentials pass at once. */
export interface LoginGate {
  /** Runs the login, or throws the last rejection again if it is too early. */
  pass<T>(url: string, login: () => Promise<T>): Promise<T>
}

export function createLoginGate(now: () => number = () => performance.now()): LoginGate {
  let rejected: { url: string; error: unknown; times: number; nextAt: number } | undefined
  return {
    async pass(url, login) {
      if (rejected?.url === url && now() < rejected.nextAt) throw rejected.error
      try {
        const result = await login()
        rejected = undefined
        return result
      } catch (error) {
        if (isCredentialsRejected(error)) {
          const times = rejected?.url === url ? rejected.times + 1 : 0
          const pauseMs = PAUSES_MS[Math.min(times, PAUSES_MS.length - 1)] ?? 0
          rejected = { url, error, times, nextAt: now() + pauseMs }
        }
        throw error
      }
    },
  }
}
