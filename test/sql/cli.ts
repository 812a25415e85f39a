// npm run test:sql -- NAME…: a procedure's tests, against the migrations as they are saved.
import { type DevelopmentDatabase, openDevelopmentDatabase } from '../../dev/database.ts'
import { findFreePort } from '../../dev/ports.ts'
import { isEmbeddedServerRunning } from '../../dev/running-server.ts'
import { createCommandSettings } from '../../dev/tool.ts'
import { type Config, loadConfig } from '../../src/config/config.ts'
import {
  type Coverage,
  describeCoverage,
  MISSING,
  prepareProfile,
  readCoverage,
  startProfiledServer,
} from './coverage.ts'
import { createStateDatabase } from './databases.ts'
import { describeUnknown, findTested, listTested } from './procedures.ts'
import { runFiles } from './run.ts'
import { StateError } from './state.ts'

const COVERAGE = '--coverage'

const EXIT_FAILED = 1
const EXIT_USAGE = 2

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

/** Runs the tests; `importTest` loads the compiled form of a test file. Returns the exit code. */
export async function main(
  given: readonly string[],
  importTest: (file: string) => Promise<unknown>,
): Promise<number> {
  const names = given.filter((name) => name !== COVERAGE)
  const isMeasured = given.includes(COVERAGE)
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
        say(describeCoverage(coverage.filter(isWanted)).join('\n'))
      }
      const seconds = (performance.now() / 1000).toFixed(2)
      const what = names.length === 0 ? `${files.length} files` : names.join(', ')
      say(`${what}: ${passed} passed${failed === 0 ? '' : `, ${failed} failed`} (${seconds} s)`)
      return failed === 0 && passed > 0 ? 0 : EXIT_FAILED
    } finally {
      await state.drop({ wait: isOwn })
    }
  } catch (error) {
    if (error instanceof StateError) return fail(error.message, EXIT_FAILED)
    throw error
  } finally {
    await database.close()
  }
}

async function openServer(
  config: Config,
  { isOwn, signal }: { readonly isOwn: boolean; readonly signal: AbortSignal },
): Promise<DevelopmentDatabase> {
  if (!isOwn) return openDevelopmentDatabase(config, { log: SILENT, signal })
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
