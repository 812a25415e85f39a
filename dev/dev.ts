// npm run dev: the service, and the loop that applies what is saved to the database that it provisions.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { type Config, loadConfig } from '../src/config/config.ts'
import { environmentWith, isGiven } from '../src/config/environment.ts'
import { createMask } from '../src/config/redact.ts'
import { EXIT } from '../src/errors/codes.ts'
import { createLogger, type Log, loadLineFormat } from '../src/logger.ts'
import { describeError } from '../src/postgres/errors.ts'
import { followHistory, mayHaveOtherHistory, noteHistory } from './branches.ts'
import { openDevelopmentDatabase } from './database.ts'
import { OtherHistoryError } from './loop/other-history.ts'
import { findFreePort } from './ports.ts'
import { runProgram } from './program.ts'

/** Where the embedded server listens. */
const LOOPBACK = '127.0.0.1'

await runProgram(runServiceAndWatch, EXIT.stopped)

/** Puts a database in use that fits the branch, and runs the service and the loop on it. */
async function runServiceAndWatch({ signal }: AbortController): Promise<number> {
  const config = loadConfig()
  const log = createLogger(config.logLevel, createMask(config), await loadLineFormat())
  let run = { config: await withFreePorts(config), log, signal }
  const isEmbedded = config.databaseUrl === undefined
  if (isEmbedded && (await mayHaveOtherHistory(config))) await follow(run)
  let hasTried = false
  while (true) {
    const outcome = await runOnce(run)
    if (outcome instanceof OtherHistoryError && !signal.aborted) {
      log.info(`${outcome.message}: the service starts again, with a database that has them`)
      await follow(run)
    } else if (outcome === EXIT.history && isEmbedded && !hasTried && !signal.aborted) {
      // The database was changed since then, by npm start or by a commit.
      hasTried = true
      if (!(await follow(run))) return outcome
    } else if ((outcome === EXIT.settings || outcome === EXIT.database) && !signal.aborted) {
      // A checkout that started at the same moment may have been faster.
      const next = await withFreePorts(run.config)
      if (!hasOtherPorts(run.config, next)) return outcome
      log.info(
        'another program took a port that was free: the service starts again, on the next one',
      )
      run = { ...run, config: next }
    } else {
      return typeof outcome === 'number' ? outcome : EXIT.stopped
    }
  }
}

interface Run {
  readonly config: Config
  readonly log: Log
  readonly signal: AbortSignal
}

/** Switches to a database that fits the committed files. Returns whether it is another one, or was copied. */
async function follow({ config, ...deps }: Run): Promise<boolean> {
  const database = await openDevelopmentDatabase(config, deps)
  try {
    const done = await followHistory({ config, database, signal: deps.signal })
    if (done !== undefined) deps.log.info(done)
    return done !== undefined
  } finally {
    await database.close()
  }
}

/**
 * Ends when the service ends, with its exit code; a stop is passed on to the service. Or ends the service, because
 * the committed files are not those of its database any more.
 */
async function runOnce(run: Run): Promise<number | OtherHistoryError> {
  const service = startService(run.config)
  // Imported while the service starts: that takes as long.
  const modules = loadLoop()
  const ending = new AbortController()
  const end = () => ending.abort()
  run.signal.addEventListener('abort', end, { once: true })
  const ended = new Promise<number>((resolve) => {
    // A service that gets our SIGTERM before it listens for signals has stopped as requested.
    const killedExitCode = () => (run.signal.aborted ? EXIT.stopped : EXIT.unforeseen)
    service.once('close', (code) => resolve(code ?? killedExitCode()))
  })
  void ended.then(end)
  ending.signal.addEventListener('abort', () => service.kill('SIGTERM'), { once: true })
  if (run.signal.aborted) end()

  // Not asked over HTTP, where another service may answer on the port that ours does not get.
  const isReady = new Promise<boolean>((resolve) => {
    service.once('message', () => resolve(true))
    void ended.then(() => resolve(false))
  })
  const watched = isReady
    .then((ready) =>
      ready ? openAndWatch({ ...run, signal: ending.signal }, modules) : EXIT.stopped,
    )
    .finally(end)
  const [exitCode, watch] = await Promise.all([
    ended,
    watched.then(
      (code) => ({ code }),
      (error: unknown) => ({ error }),
    ),
  ])
  // What ends the service also makes the loop fail.
  if (exitCode !== EXIT.stopped) return exitCode
  if (!('error' in watch)) return watch.code
  if (watch.error instanceof OtherHistoryError) return watch.error
  throw watch.error
}

type LoopModules = ReturnType<typeof loadLoop>

async function loadLoop() {
  const [{ watch }, { ensureTemplate }] = await Promise.all([
    import('./commands/watch.ts'),
    import('./template.ts'),
  ])
  return { watch, ensureTemplate }
}

type Ports = Pick<Config, 'port' | 'embeddedPort'>

/**
 * Chooses where the service and the embedded server listen. A port that is set is used; instead of a default one that
 * another checkout uses, the next free one is taken. Called again, it keeps what it chose if that is still free.
 */
async function withFreePorts(config: Config): Promise<Config> {
  const hasEmbeddedPort = isGiven('EMBEDDED_PORT') || config.databaseUrl !== undefined
  const embeddedPort = hasEmbeddedPort
    ? config.embeddedPort
    : await findFreePort(LOOPBACK, config.embeddedPort)
  // 0 is any free port.
  const port =
    isGiven('PORT') && config.port !== 0
      ? config.port
      : await findFreePort(config.host, config.port, { not: embeddedPort })
  return { ...config, port, embeddedPort }
}

function hasOtherPorts(one: Ports, other: Ports): boolean {
  return one.port !== other.port || one.embeddedPort !== other.embeddedPort
}

/** Starts the service in our process group, so that it also gets the terminal's signals; it sends when it is ready. */
function startService({ port, embeddedPort }: Ports): ChildProcess {
  const server = join(import.meta.dirname, '..', 'app', 'server.js')
  return spawn(process.execPath, [server], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: environmentWith({ PORT: String(port), EMBEDDED_PORT: String(embeddedPort) }),
  })
}

async function openAndWatch({ config, log, signal }: Run, modules: LoopModules): Promise<number> {
  const { watch, ensureTemplate } = await modules
  const database = await openDevelopmentDatabase(config, { log, signal })
  try {
    const isEmbedded = config.databaseUrl === undefined
    const watched = watch({
      ...{ config, database, signal },
      noteHistory: isEmbedded ? () => noteHistory(config) : undefined,
    })
    // A branch may change while the template is made: the error is returned below.
    watched.catch(() => {})
    if (isEmbedded) {
      await ensureTemplate({ config, database, signal }).catch((error) => {
        // The next start makes it.
        if (signal.aborted) return
        log.warn({ reason: describeError(error) }, 'no template of this history was made')
      })
    }
    return await watched
  } finally {
    await database.close()
  }
}
