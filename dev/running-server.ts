import type { Config } from '../src/config/config.ts'
import { serverUrl } from '../src/database/embedded/address.ts'
import { findDataDir } from '../src/database/embedded/home.ts'
import { readServerState } from '../src/database/embedded/owner.ts'
import { readPassword } from '../src/database/embedded/password.ts'
import { identifyProcess } from '../src/database/embedded/process.ts'

/**
 * How to connect to the embedded server of these settings, whichever process runs it, and on whichever
 * port. Undefined if it has never been started, or if this user may not know its password.
 */
export function findEmbeddedServer(config: Config): ((database: string) => string) | undefined {
  const dataDir = findDataDir(config.embeddedDataDir)
  const password = readPassword(dataDir) ?? config.embeddedPassword
  if (password === undefined) return undefined
  config.secrets.add(password)
  const port = findPort(dataDir) ?? config.embeddedPort
  return (database) => serverUrl(port, database, password)
}

/** Whether a process runs the embedded server of these settings. */
export function isEmbeddedServerRunning({ embeddedDataDir }: Config): boolean {
  return findPort(findDataDir(embeddedDataDir)) !== undefined
}

function findPort(dataDir: string): number | undefined {
  const running = readServerState(dataDir)
  return running !== undefined && identifyProcess(running.pid) !== undefined
    ? running.port
    : undefined
}
