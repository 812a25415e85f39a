import { isIPv4, isIPv6 } from 'node:net'

/**
 * A host name or an address as browsers write it: in lower case, without brackets, port or a last
 * dot. Undefined if it is neither.
 */
export function parseHost(given: string): string | undefined {
  const [, inBrackets, plain = ''] = /^(?:\[([^\]]+)\]|([^[\]:]+))(?::\d{0,5})?$/.exec(given) ?? []
  if (inBrackets !== undefined) return isIPv6(inBrackets) ? canonicalIPv6(inBrackets) : undefined
  const name = plain.toLowerCase().replace(/\.$/, '')
  return /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(name) ? name : undefined
}

/** As `parseHost`, for an entry of a setting: without a port, and an IPv6 address without brackets, too. */
export function parseHostSetting(given: string): string | undefined {
  // Node.js takes milliseconds to compile its pattern for these addresses.
  if (given.includes(':') && isIPv6(given)) return canonicalIPv6(given)
  return /:\d*$/.test(given.replace(/^\[.*\]$/, '')) ? undefined : parseHost(given)
}

/** A name that is always this machine, whatever a name server says. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.')
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1'
}

/** One spelling for each address, and the IPv4 address of one that is mapped into IPv6. */
function canonicalIPv6(address: string): string | undefined {
  const unscoped = address.split('%')[0] ?? ''
  if (!isIPv6(unscoped)) return undefined
  const canonical = new URL(`http://[${unscoped}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(canonical) ?? []
  if (high === undefined || low === undefined) return canonical
  const bytes = [high, low]
    .map((part) => Number.parseInt(part, 16))
    .flatMap((n) => [n >> 8, n & 255])
  return bytes.join('.')
}
