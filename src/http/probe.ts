import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/config.ts'

export type ListenAddress = Pick<Config, 'host' | 'port'>

/** The answer of a running service to `GET /readyz`. */
export interface ReadinessAnswer {
  readonly ready: boolean
  readonly body: string
}

const RETRY_MS = 50

/** Asks the service that listens at this address on this machine; rejects if none answers. */
export function askReadiness(
  { host, port }: ListenAddress,
  { timeoutMs = 1500 } = {},
): Promise<ReadinessAnswer> {
  return new Promise((resolve, reject) => {
    const request = get({ host: toConnectHost(host), port, path: '/readyz', timeout: timeoutMs })
    request.on('error', reject)
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    request.on('response', (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text) => {
        body += text
      })
      response.on('error', reject)
      response.on('end', () => resolve({ ready: response.statusCode === 200, body }))
    })
  })
}

/** Resolves with true once the service is ready, or with false once the signal aborts. */
export async function waitUntilReady(
  address: ListenAddress,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const answer = await askReadiness(address).catch(() => undefined)
    if (answer?.ready) return true
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {})
  }
  return false
}

/** A service that listens on every address also listens on the loopback address. */
function toConnectHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '::1'
  return host
}
