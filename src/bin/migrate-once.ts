// Migrates and ends, as a Kubernetes Job before a rollout does: runs the service until the database
// is ready, stops it, and ends with its exit code. It needs a PORT other than 0.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { loadListenAddress } from '../config/config.ts'
import { waitUntilReady } from '../http/probe.ts'

const server = fileURLToPath(new URL('./server.js', import.meta.url))
const service = spawn(process.execPath, [server], { stdio: 'inherit' })
const ended = new AbortController()
service.on('exit', (exitCode) => {
  ended.abort()
  process.exit(exitCode ?? 1)
})
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => service.kill(signal))
}

const address = readAddress()
if (address !== undefined && (await waitUntilReady(address, ended.signal))) service.kill('SIGTERM')

/** Undefined where HOST or PORT is wrong: the service reports that, and ends by itself. */
function readAddress() {
  try {
    return loadListenAddress()
  } catch {
    return undefined
  }
}
