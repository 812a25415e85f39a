// A service that is nothing but its embedded server, for tests to run as a process of its own:
// embedded-service.ts <data folder> <port>. Says `ready`, or the error's code, one JSON line each.
import { openEmbeddedServer } from '../../src/database/embedded.ts'
import { ServiceError } from '../../src/errors.ts'

const [dataDir = '', port = ''] = process.argv.slice(2)
const stop = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop.abort())
const say = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
const logger =
  (level: string) =>
  (data: object, message?: string): void =>
    say({ level, ...data, message })

try {
  const server = await openEmbeddedServer({
    dataDir,
    port: Number(port),
    database: 'commandbus',
    stopMs: 5000,
    log: {
      debug: logger('debug'),
      info: logger('info'),
      warn: logger('warn'),
      error: logger('error'),
    },
    signal: stop.signal,
  })
  say({ state: 'ready', url: server.urlOf('commandbus') })
  const beat = setInterval(() => {}, 1000)
  await new Promise((resolve) => stop.signal.addEventListener('abort', resolve))
  clearInterval(beat)
  await server.close()
  say({ state: 'closed' })
} catch (error) {
  if (error === stop.signal.reason) {
    say({ state: 'stopped' })
  } else if (error instanceof ServiceError) {
    say({ state: 'refused', code: error.code, message: error.message })
    process.exitCode = error.exitCode
  } else {
    throw error
  }
}
