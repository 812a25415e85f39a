import { isIPv6 } from 'node:net'
import type { Log } from '../logger.ts'

const WINDOW_MS = 60_000
const MAX_PER_WINDOW = 10
/** Beyond this, the address that was seen first is forgotten: memory stays bounded. */
const MAX_ADDRESSES = 10_000
/** The first line says how many of a burst there were. */
const FIRST_REPORT_MS = 1000

interface Failures {
  count: number
  readonly since: number
}

/** Counts wrong tokens by address, and logs how many there were, once a minute at most. */
export interface WrongTokens {
  /** Counts one; returns how many seconds to wait if there were too many, or else undefined. */
  add(address: string): number | undefined
  close(): void
}

export function createWrongTokens(log: Log, now: () => number = Date.now): WrongTokens {
  const failures = new Map<string, Failures>()
  const unreported = { wrongTokens: 0, addresses: new Set<string>() }
  let lastReport = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined

  function report(): void {
    timer = undefined
    if (unreported.wrongTokens === 0) return
    lastReport = now()
    const addresses = [...unreported.addresses]
    const { wrongTokens } = unreported
    log.warn(
      { wrongTokens, addressCount: addresses.length, addresses: addresses.slice(0, 10) },
      'requests with a wrong token were rejected',
    )
    unreported.wrongTokens = 0
    unreported.addresses.clear()
  }

  function countFor(key: string): Failures {
    const found = failures.get(key)
    if (found !== undefined && now() - found.since < WINDOW_MS) return found
    failures.delete(key)
    const [oldest] = failures.keys()
    if (failures.size >= MAX_ADDRESSES && oldest !== undefined) failures.delete(oldest)
    const created = { count: 0, since: now() }
    failures.set(key, created)
    return created
  }

  return {
    add(address) {
      const key = groupAddress(address)
      unreported.wrongTokens++
      if (unreported.addresses.size < MAX_ADDRESSES) unreported.addresses.add(key)
      const waitMs = Math.max(FIRST_REPORT_MS, lastReport + WINDOW_MS - now())
      timer ??= setTimeout(report, waitMs).unref()
      const found = countFor(key)
      found.count++
      if (found.count <= MAX_PER_WINDOW) return undefined
      return Math.max(1, Math.ceil((found.since + WINDOW_MS - now()) / 1000))
    },
    close() {
      clearTimeout(timer)
      report()
    },
  }
}

/** One client has a whole /64 of IPv6 addresses. */
function groupAddress(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*/, '')
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const parts = head.split(':').filter((part) => part !== '')
  if (tail !== undefined) {
    const after = tail.split(':').filter((part) => part !== '')
    while (parts.length + after.length < 8) parts.push('0')
    parts.push(...after)
  }
  return `${parts.slice(0, 4).join(':')}::/64`
}
