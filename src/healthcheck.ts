/**
 * The image's health check: asks a running service whether it is ready, and says so by its exit
 * code. It imports nothing of the service, because a container engine runs it every few seconds.
 */
import { get } from 'node:http'
import { loadListenAddress } from './config.ts'

const timeoutMs = 1500

const { host, port } = loadListenAddress()
const request = get({ host: reachable(host), port, path: '/readyz', timeout: timeoutMs })
request.on('response', (response) => {
  // The engine keeps the last outputs: `docker inspect` then tells why a container is unhealthy.
  response.pipe(process.stdout)
  process.exitCode = response.statusCode === 200 ? 0 : 1
})
request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)))
request.on('error', (error) => {
  console.error(error.message)
  process.exitCode = 1
})

/** A service that listens on every address is asked on the loopback one. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '::1'
  return host
}
