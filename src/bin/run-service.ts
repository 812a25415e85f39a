// A process's settings, log, signals and exit code. Everything else is in service.ts.
import { type Config, createEnvironmentMask, loadConfig } from '../config/config.ts'
import { createMask } from '../config/redact.ts'
import { EXIT } from '../errors/codes.ts'
import { ServiceError } from '../errors/service-error.ts'
import { createLogger, flushLog, type LineFormat, loadLineFormat } from '../logger.ts'
import { createService, type ServiceOptions } from '../service.ts'
import { onStopSignal } from '../signals.ts'

/** Runs the service, and ends the process with its exit code. */
export async function runService(options: ServiceOptions = {}): Promise<never> {
  const format = await loadLineFormat()
  const config = loadConfigOrExit(format)
  const log = createLogger(config.logLevel, createMask(config), format)
  // Node.js would print warnings, its own and those of packages, as text of several lines.
  process.removeAllListeners('warning').on('warning', ({ name, message }) => {
    log.warn({ warning: message, type: name }, 'Node.js warning')
  })

  const service = createService(config, log, { onReady: tellParent, ...options })
  process.on('uncaughtException', service.fail)
  process.on('unhandledRejection', service.fail)
  onStopSignal((signal) => {
    log.info({ signal }, 'stopping')
    service.stop()
  })
  const exitCode = await service.run()
  await flushLog()
  process.exit(exitCode)
}

/** Tells a parent that opened a channel for it, as process managers do: another service may answer on our port. */
function tellParent(): void {
  process.send?.('ready', undefined, undefined, () => {
    // A parent that has gone is not waiting.
  })
}

function loadConfigOrExit(format: LineFormat | undefined): Config {
  try {
    return loadConfig()
  } catch (error) {
    createLogger('info', createEnvironmentMask(), format).fatal({ err: error }, 'exiting')
    process.exit(error instanceof ServiceError ? error.exitCode : EXIT.unforeseen)
  }
}
