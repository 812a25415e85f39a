// npm run db:url: prints the URL of the database, with its password.
import { loadConfig } from '../src/config/config.ts'
import { describeEmbedded } from '../src/database/database.ts'
import { EXIT } from '../src/errors/codes.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import { runProgram } from './program.ts'
import { findEmbeddedServer } from './running-server.ts'

await runProgram(async () => {
  const config = loadConfig()
  process.stdout.write(`${config.databaseUrl ?? findEmbeddedUrl(config)}\n`)
  return EXIT.stopped
}, EXIT.unforeseen)

function findEmbeddedUrl(config: ReturnType<typeof loadConfig>): string {
  const urlOf = findEmbeddedServer(config)
  if (urlOf !== undefined) return describeEmbedded(config, urlOf).url
  throw new ServiceError(
    'embedded_not_started',
    'the embedded server has no password yet: start it once, with npm start',
  )
}
