// npm run test:sql -- NAME…: a procedure's tests, against the migrations as they are saved.
import {
  type DevelopmentDatabase,
  openDevelopmentDatabase,
  SHORT_WAIT_MS,
} from '../../dev/database.ts'
import { describeLostConnection, describeUnforeseen } from '../../dev/lost-connection.ts'
import { findFreePort } from '../../dev/ports.ts'
import { isEmbeddedServerRunning } from '../../dev/running-server.ts'
import { createCommandSettings } from '../../dev/tool.ts'
import { type Config, loadConfig } from '../../src/config/config.ts'
import { ServiceError } from '../../src/errors/service-error.ts'
import { readArguments, USAGE } from './arguments.ts'
import {
  type Coverage,
  describeCoverage,
  describeUncounted,
  MISSING,
  prepareProfile,
  readCoverage,
  startProfiledServer,
} from './coverage.ts'
import { createStateDatabase } from './databases.ts'
import { describeUnknown, findTested, listTested } from './procedures.ts'
import { runFiles } from './run.ts'
import { StateError } from './state.ts'

const EXIT_FAILED = 1
const EXIT_USAGE = 2

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

/** Runs the tests; `importTest` loads the compiled form of a test file. Returns the exit code. */
export async function main(
  given: readonly string[],
  importTest: (file: string) => Promise<unknown>,
): Promise<number> {
  try {
    return await run(given, importTest)
  } catch (error) {
    const known = describeLostConnection(error) ?? error
    if (known instanceof ServiceError) return fail(known.message, known.exitCode)
    if (known instanceof StateError) return fail(known.message, EXIT_FAILED)
    return fail(describeUnforeseen(known), EXIT_FAILED)
  }
}

async function run(
  given: readonly string[],
  importTest: (file: string) => Promise<unknown>,
): Promise<number> {
  const { names, isMeasured, isHelp } = readArguments(given)
  if (isHelp) {
    say(USAGE)
    return 0
  }
  if (isMeasured && MISSING !== undefined) return fail(MISSING, EXIT_FAILED)
  const config = loadConfig()
  const { migrationsDir } = config
  const tested = listTested(process.cwd(), migrationsDir)
  const wanted = names.length === 0 ? tested : names.flatMap((name) => findTested(name, tested))
  const unknown = names.find((name) => findTested(name, tested).every(({ file }) => !file))
  if (unknown !== undefined) return fail(describeUnknown(unknown, tested), EXIT_USAGE)
  const files = [...new Set(wanted.flatMap(({ file }) => file ?? []))]

  const stopping = new AbortController()
  const { signal } = stopping
  process.once('SIGINT', () => stopping.abort())
  // It ends with this run.
  const isOwn = isMeasured || (config.databaseUrl === undefined && !isEmbeddedServerRunning(config))
  const database = isMeasured
    ? await startProfiledServer()
    : await openServer(config, { isOwn, signal })
  try {
    const settings = await createCommandSettings({ config, database, migrationsDir, signal })
    const { name } = database
    const placeholders = {
      ...settings.placeholders,
      ':DATABASE_NAME': name,
      ':DATABASE_OWNER': name,
    }
    const rootUrl = database.rootUrl ?? database.url
    const base = isMeasured ? name : undefined
    const creating = createStateDatabase({ rootUrl, migrationsDir, placeholders, base })
    // While the server copies a database, this process loads what it needs next.
    const [state] = await Promise.all([creating, import('tap')])
    try {
      if (isMeasured) await prepareProfile(state.url)
      const { passed, failed } = await runFiles(files, {
        server: { url: rootUrl, runId: state.runId, watcherPid: undefined, procedures: state.url },
        importTest,
        write: (text) => process.stdout.write(text),
      })
      if (isMeasured) {
        const coverage = await readCoverage(state.url)
        const isWanted = ({ name }: Coverage) => wanted.some((one) => one.name === name)
        const counted = coverage.filter(isWanted)
        for (const line of describeCoverage(counted)) say(line)
        const others = new Set(names.length === 0 ? [] : wanted.map((one) => one.name))
        for (const { name } of counted) others.delete(name)
        if (others.size > 0) say(describeUncounted([...others]))
      }
      const seconds = (performance.now() / 1000).toFixed(2)
      const what = names.length === 0 ? `${files.length} files` : names.join(', ')
      say(`${what}: ${passed} passed${failed === 0 ? '' : `, ${failed} failed`} (${seconds} s)`)
      return failed === 0 && passed > 0 ? 0 : EXIT_FAILED
    } finally {
      await state.drop({ wait: isOwn })
    }
  } finally {
    await database.close()
  }
}

async function openServer(
  config: Config,
  { isOwn, signal }: { readonly isOwn: boolean; readonly signal: AbortSignal },
): Promise<DevelopmentDatabase> {
  if (!isOwn)
    return openDevelopmentDatabase(config, { log: SILENT, signal, maxWaitMs: SHORT_WAIT_MS })
  say('no server is running: starting the embedded one for these tests (npm run dev keeps it)')
  const embeddedPort = await findFreePort('127.0.0.1', config.embeddedPort)
  return openDevelopmentDatabase({ ...config, embeddedPort }, { log: SILENT, signal })
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function fail(text: string, exitCode: number): number {
  process.stderr.write(`${text}\n`)
  return exitCode
}
