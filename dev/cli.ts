// npm run db:watch, db:commit, db:uncommit and db:status.
import { loadConfig } from '../src/config/config.ts'
import { createMask } from '../src/config/redact.ts'
import { EXIT } from '../src/errors/codes.ts'
import { createLogger, loadLineFormat } from '../src/logger.ts'
import { type Arguments, readArguments } from './arguments.ts'
import { openDevelopmentDatabase, SHORT_WAIT_MS } from './database.ts'
import { runProgram } from './program.ts'
import type { CommandRun } from './tool.ts'

type Command = (run: CommandRun, given: Arguments) => Promise<number>

/** Each is imported when it is called: a watch needs none of the modules of a commit. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  watch: async () => (await import('./commands/watch.ts')).watch,
  commit: async () => (await import('./commands/commit.ts')).commit,
  uncommit: async () => (await import('./commands/uncommit.ts')).uncommit,
  status: async () => (await import('./commands/status.ts')).status,
}

await runProgram(async ({ signal }) => {
  const [, , name = '', ...more] = process.argv
  const load = COMMANDS[name]
  if (load === undefined) throw new Error(`expected one of ${Object.keys(COMMANDS).join(', ')}`)
  const given = readArguments(name, more)
  if (given.help !== undefined) {
    process.stdout.write(given.help)
    return EXIT.stopped
  }
  const command = await load()
  const config = loadConfig()
  // People read the output of the command; the log is for what goes wrong.
  const level = config.logLevel === 'info' ? 'warn' : config.logLevel
  const log = createLogger(level, createMask(config), await loadLineFormat())
  const database = await openDevelopmentDatabase(config, {
    ...{ log, signal },
    ...(name === 'status' && { maxWaitMs: SHORT_WAIT_MS }),
  })
  try {
    return await command({ config, database, signal }, given)
  } finally {
    await database.close()
  }
}, EXIT.unforeseen)
