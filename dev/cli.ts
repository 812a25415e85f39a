// npm run db:watch, db:commit, db:uncommit and db:status.
import { loadConfig } from '../src/config/config.ts'
import { createMask } from '../src/config/redact.ts'
import { EXIT } from '../src/errors/codes.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import { createLogger, loadLineFormat } from '../src/logger.ts'
import { commit } from './commands/commit.ts'
import { status } from './commands/status.ts'
import { uncommit } from './commands/uncommit.ts'
import { watch } from './commands/watch.ts'
import { openDevelopmentDatabase } from './database.ts'
import { runProgram } from './program.ts'
import type { CommandRun } from './tool.ts'

type Command = (run: CommandRun, argument: string | undefined) => Promise<number>

const COMMANDS: Readonly<Record<string, Command>> = { watch, commit, uncommit, status }

await runProgram(async ({ signal }) => {
  const [, , name = '', argument, ...more] = process.argv
  const command = COMMANDS[name]
  if (command === undefined) throw new Error(`expected one of ${Object.keys(COMMANDS).join(', ')}`)
  if (more.length > 0) {
    throw new ServiceError(
      'too_many_arguments',
      `expected one argument at most, found ${more.length + 1}: put a message of several words in quotes, as in ` +
        'npm run db:commit -- "Add a status"',
    )
  }
  const config = loadConfig()
  // People read the output of the command; the log is for what goes wrong.
  const level = config.logLevel === 'info' ? 'warn' : config.logLevel
  const log = createLogger(level, createMask(config), await loadLineFormat())
  const database = await openDevelopmentDatabase(config, { log, signal })
  try {
    return await command({ config, database, signal }, argument)
  } finally {
    await database.close()
  }
}, EXIT.unforeseen)
