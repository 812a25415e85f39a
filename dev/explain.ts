// npm run db:explain -- NAME ARGUMENT…: the plans of the statements inside a function's call.
import { join, relative } from 'node:path'
import { loadConfig } from '../src/config/config.ts'
import { createMask } from '../src/config/redact.ts'
import { EXIT } from '../src/errors/codes.ts'
import { createLogger, loadLineFormat } from '../src/logger.ts'
import { openClient } from '../src/postgres/client.ts'
import { openDevelopmentDatabase, SHORT_WAIT_MS } from './database.ts'
import { addPending, explainCall } from './explain/explain-call.ts'
import { runProgram } from './program.ts'

await runProgram(async ({ signal }) => {
  const [, , name, ...given] = process.argv
  const config = loadConfig()
  const log = createLogger('warn', createMask(config), await loadLineFormat())
  const database = await openDevelopmentDatabase(config, { log, signal, maxWaitMs: SHORT_WAIT_MS })
  const client = await openClient(database.url, 'development')
  try {
    const fixtures = relative('', join(config.migrationsDir, 'fixtures'))
    const explaining = explainCall(client, { name, given, fixtures })
    for (const line of await explaining.catch(addPending(client, config.migrationsDir)))
      process.stdout.write(`${line}\n`)
    return EXIT.stopped
  } finally {
    await client.end()
    await database.close()
  }
}, EXIT.unforeseen)
