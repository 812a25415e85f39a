import { get } from 'node:http'
import type { Config } from '../config/config.ts'

/** What a running service answered when it was asked whether it is ready. */
export interface ReadinessAnswer {
  readonly ready: boolean
  readonly body: string
}

/** Asks the service that listens at this address, on this machine; rejects where none answers. */
export function askReadiness(
  { host, port }: Pick<Config, 'host' | 'port'>,
  { timeoutMs = 1500 } = {},
): Promise<ReadinessAnswer> {
  return new Promise((resolve, reject) => {
    const request = get({ host: reachable(host), port, path: '/readyz', timeout: timeoutMs })
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

/** A service that listens on every address is asked on the loopback one. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '::1'
  return host
}
