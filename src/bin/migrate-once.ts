// For those who migrate before a rollout, as a Kubernetes Job does: runs the service until the
// database is ready, stops it, and ends with its exit code. It needs a PORT other than 0.
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { loadListenAddress } from '../config/config.ts'
import { askReadiness } from '../http/probe.ts'

const server = fileURLToPath(new URL('./server.js', import.meta.url))
const service = spawn(process.execPath, [server], { stdio: 'inherit' })
service.on('exit', (exitCode) => process.exit(exitCode ?? 1))
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => service.kill(signal))
}
// Settings that do not parse are the service's to report; it ends by itself.
await stopWhenReady().catch(() => {})

async function stopWhenReady(): Promise<void> {
  const address = loadListenAddress()
  while (!(await isReady(address))) await sleep(100)
  service.kill('SIGTERM')
}

async function isReady(address: ReturnType<typeof loadListenAddress>): Promise<boolean> {
  try {
    return (await askReadiness(address)).ready
  } catch {
    return false
  }
}
