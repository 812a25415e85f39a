import { get } from 'node:http'
import type { Config } from '../config/config.ts'

export type ListenAddress = Pick<Config, 'host' | 'port'>

/** The answer of a running service to `GET /readyz`. */
export interface ReadinessAnswer {
  readonly ready: boolean
  readonly body: string
}

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

/** A service that listens on every address also listens on the loopback address. */
function toConnectHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '::1'
  return host
}
