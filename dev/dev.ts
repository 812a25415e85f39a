// npm run dev: the service, and graphile-migrate's watch on what it has provisioned.
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Config, loadConfig } from '../src/config/config.ts'
import { createMask } from '../src/config/redact.ts'
import { EXIT } from '../src/errors/codes.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import { createLogger } from '../src/logger.ts'
import { onStopSignal } from '../src/signals.ts'
import { watch } from './commands.ts'
import { openDevelopmentDatabase } from './database.ts'

/** A watch that ends sooner has no use in being started again. */
const SHORTEST_WATCH_MS = 5000

const stopping = new AbortController()
const { signal } = stopping
onStopSignal(() => stopping.abort())
process.exitCode = await run().catch((error) => {
  if (signal.aborted && error === signal.reason) return EXIT.stopped
  if (!(error instanceof ServiceError)) throw error
  process.stderr.write(`${error.message}\n`)
  return error.exitCode
})

/** Ends when the service does, with its exit code; a stop is passed on to it. */
async function run(): Promise<number> {
  const config = loadConfig()
  const port = config.port || (await findFreePort(config.host))
  const service = startService(port)
  const ended = new Promise<number>((resolve) => {
    // Ended by our own SIGTERM before it could listen for one, it has stopped as asked.
    const whenKilled = () => (signal.aborted ? EXIT.stopped : EXIT.unforeseen)
    service.once('close', (code) => resolve(code ?? whenKilled()))
  })
  void ended.then(() => stopping.abort())
  signal.addEventListener('abort', () => service.kill('SIGTERM'), { once: true })

  const watched = watchWhenReady(config, port).finally(() => stopping.abort())
  const [exitCode, watchExitCode] = await Promise.all([ended, watched])
  return exitCode || watchExitCode
}

function startService(port: number) {
  const server = join(import.meta.dirname, '..', 'src', 'bin', 'server.js')
  // The terminal's signals reach it as well, being of the same process group.
  return spawn(process.execPath, [server], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PORT: String(port) },
  })
}

async function watchWhenReady(config: Config, port: number): Promise<number> {
  await waitUntilReady(config.host, port)
  if (signal.aborted) return EXIT.stopped
  const log = createLogger(config.logLevel, createMask(config))
  const database = await openDevelopmentDatabase(config, { log, signal })
  try {
    while (true) {
      const began = performance.now()
      const exitCode = await watch({ config, database, signal })
      // It ends when a connection breaks, which the service outlives.
      if (signal.aborted || performance.now() - began < SHORTEST_WATCH_MS) return exitCode
    }
  } finally {
    await database.close()
  }
}

async function waitUntilReady(host: string, port: number): Promise<void> {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host
  while (!signal.aborted) {
    const response = await fetch(`http://${reachable}:${port}/readyz`).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.ok) return
    await sleep(50)
  }
}

async function findFreePort(host: string): Promise<number> {
  const probe = createServer().listen(0, host)
  await new Promise((resolve) => probe.once('listening', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
