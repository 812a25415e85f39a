// npm run db:watch, db:commit, db:uncommit and db:status.
import { loadConfig } from '../src/config/config.ts'
import { createMask } from '../src/config/redact.ts'
import { EXIT } from '../src/errors/codes.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import { createLogger } from '../src/logger.ts'
import { onStopSignal } from '../src/signals.ts'
import { type CommandRun, commit, status, uncommit, watch } from './commands.ts'
import { openDevelopmentDatabase } from './database.ts'

const COMMANDS: Record<string, (run: CommandRun, argument?: string) => Promise<number>> = {
  watch,
  commit,
  uncommit,
  status,
}

const stopping = new AbortController()
onStopSignal(() => stopping.abort())
process.exitCode = await run(process.argv.slice(2)).catch((error) => {
  if (error === stopping.signal.reason) return EXIT.unforeseen
  if (!(error instanceof ServiceError)) throw error
  process.stderr.write(`${error.message}\n`)
  return error.exitCode
})

async function run([name = '', argument]: string[]): Promise<number> {
  const command = COMMANDS[name]
  if (command === undefined) throw new Error(`expected one of ${Object.keys(COMMANDS).join(', ')}`)
  const config = loadConfig()
  const { signal } = stopping
  const level = config.logLevel === 'info' ? 'warn' : config.logLevel
  const log = createLogger(level, createMask(config))
  const database = await openDevelopmentDatabase(config, { log, signal })
  try {
    return await command({ config, database, signal }, argument)
  } finally {
    await database.close()
  }
}
