// npm run dev: the service, and the loop that applies what is saved to the database that it provisions.
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Config, loadConfig } from '../src/config/config.ts'
import { createMask } from '../src/config/redact.ts'
import { EXIT } from '../src/errors/codes.ts'
import { waitUntilReady } from '../src/http/probe.ts'
import { createLogger, loadLineFormat } from '../src/logger.ts'
import { watch } from './commands/watch.ts'
import { openDevelopmentDatabase } from './database.ts'
import { runProgram } from './program.ts'

await runProgram(runServiceAndWatch, EXIT.stopped)

/** Ends when the service ends, with its exit code; a stop is passed on to the service. */
async function runServiceAndWatch(stopping: AbortController): Promise<number> {
  const { signal } = stopping
  const config = loadConfig()
  const port = config.port || (await findFreePort(config.host))
  const service = startService(port)
  const ended = new Promise<number>((resolve) => {
    // A service that gets our SIGTERM before it listens for signals has stopped as requested.
    const killedExitCode = () => (signal.aborted ? EXIT.stopped : EXIT.unforeseen)
    service.once('close', (code) => resolve(code ?? killedExitCode()))
  })
  void ended.then(() => stopping.abort())
  signal.addEventListener('abort', () => service.kill('SIGTERM'), { once: true })

  const watched = watchWhenReady({ ...config, port }, signal).finally(() => stopping.abort())
  const [exitCode, watchExitCode] = await Promise.all([ended, watched])
  return exitCode || watchExitCode
}

/** Starts the service in our process group, so that it also gets the terminal's signals. */
function startService(port: number): ChildProcess {
  const server = join(import.meta.dirname, '..', 'app', 'server.js')
  return spawn(process.execPath, [server], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PORT: String(port) },
  })
}

async function watchWhenReady(config: Config, signal: AbortSignal): Promise<number> {
  if (!(await waitUntilReady(config, signal))) return EXIT.stopped
  const log = createLogger(config.logLevel, createMask(config), await loadLineFormat())
  const database = await openDevelopmentDatabase(config, { log, signal })
  try {
    return await watch({ config, database, signal })
  } finally {
    await database.close()
  }
}

async function findFreePort(host: string): Promise<number> {
  const probe = createServer().listen(0, host)
  await new Promise((resolve) => probe.once('listening', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
