import { resolve } from 'node:path'
import { listPlaceholderVariables } from './placeholders.ts'

/** What the environment says about test databases; no other file here reads `process.env`. */
export interface TestEnvironment {
  /** A service that is already running; undefined: the tests start one of their own. */
  readonly service: ServiceAddress | undefined
  /** Settings that a service of their own is started with. */
  readonly settings: Readonly<Record<string, string>>
  /** The process that the whole run belongs to: the test runner, as its workers see it. */
  readonly runnerPid: number
}

export interface ServiceAddress {
  /** Base URL, without a slash at the end. */
  readonly url: string
  /** TEST_DATABASES_TOKEN of the service: never log it. */
  readonly token: string
}

/**
 * What a service of the tests' own needs of this environment, and the settings that make sense for it. All
 * others are left out: a DATABASE_URL that is meant for the application must never be migrated by a test run,
 * and with its LOG_LEVEL the service might not log where it listens.
 */
const PASSED_ON = [
  ...['PATH', 'HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH'],
  ...['E2E_SCHEMA', 'TEST_DATABASES_MAX'],
]
const PASSED_ON_AS_PATHS = ['MIGRATIONS_DIR', 'SEEDS_DIR']

/** Reads COMMANDBUS_DB_URL, TEST_DATABASES_TOKEN and the settings for a service of the tests' own. */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env): TestEnvironment {
  const paths = pick(env, PASSED_ON_AS_PATHS, (value) => resolve(value))
  const placeholders = paths.MIGRATIONS_DIR ? listPlaceholderVariables(paths.MIGRATIONS_DIR) : []
  return {
    service: readService(env),
    settings: { ...pick(env, [...PASSED_ON, ...placeholders], (value) => value), ...paths },
    runnerPid: isWorker(env) ? process.ppid : process.pid,
  }
}

function pick(
  env: NodeJS.ProcessEnv,
  names: readonly string[],
  convert: (value: string) => string,
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name]
      return value ? [[name, convert(value)]] : []
    }),
  )
}

function readService(env: NodeJS.ProcessEnv): ServiceAddress | undefined {
  const { COMMANDBUS_DB_URL: url, TEST_DATABASES_TOKEN: token } = env
  if (!url) return undefined
  if (!token) {
    throw new Error(
      'COMMANDBUS_DB_URL is set, and TEST_DATABASES_TOKEN is not: set both for a service that is running, ' +
        'or neither for one that the tests start themselves',
    )
  }
  return { url: url.replace(/\/+$/, ''), token }
}

/** Whether a test runner started this process: by a channel to it, or by what it sets. */
function isWorker({ NODE_TEST_CONTEXT = '', TAP_CHILD_ID }: NodeJS.ProcessEnv): boolean {
  return process.connected || NODE_TEST_CONTEXT.startsWith('child') || TAP_CHILD_ID !== undefined
}
