// A module's own timers: a test may replace the global ones.
import { clearInterval, setInterval } from 'node:timers'
import { readEnvironment, type ServiceAddress } from './environment.ts'
import { assertKnownOptions, type TestDatabaseError } from './errors.ts'
import { extend, giveBack, type Lent, lend } from './requests.ts'
import { findRunFolder, type RunFolder } from './run-folder.ts'
import { acquireSharedService } from './shared-service.ts'

export interface LeaseOptions {
  /** A service that is running; otherwise what the environment says, or one that is started for the run. */
  readonly service?: ServiceAddress
  /** Who borrows it, for people: the service names it where all databases are lent. */
  readonly label?: string
  /** How long to wait for a database that is free. */
  readonly waitMs?: number
  /** How long the database outlives a process that crashes; while the process lives, it is extended. */
  readonly ttlSeconds?: number
  /** The number of the last migration to have, such as `000002`; then without seeds. */
  readonly through?: string
}

/** A migrated database that nobody else has until it is released. */
export interface LeasedDatabase extends AsyncDisposable {
  /** The connection string, with the password: never log it. */
  readonly url: string
  readonly id: string
  /** The name of the database on its server. */
  readonly name: string
  /** The last migration that it has. */
  readonly history: { readonly last: string; readonly hash: string }
  /** Gives it back; close all connections first. Does nothing the second time. */
  release(): Promise<void>
}

/** What `leaseDatabase` takes. */
export const LEASE_OPTIONS = [
  'service',
  'label',
  'waitMs',
  'ttlSeconds',
  'through',
] as const satisfies readonly (keyof LeaseOptions)[]

const DEFAULTS = { waitMs: 60_000, ttlSeconds: 120 } as const

/**
 * Borrows a database. It is exactly as the migrations leave a new one, and only the caller has it. Release it
 * when its connections are closed; or declare it with `await using`.
 *
 * Without COMMANDBUS_DB_URL (and TEST_DATABASES_TOKEN) in the environment, the first call of a test run starts
 * the service on its embedded PostgreSQL, for all processes of the run. It ends with the run.
 *
 * Throws a TestDatabaseError if the service cannot be reached, refuses, or has no database free within `waitMs`, or
 * if an option is unknown; an Error if it cannot be started.
 */
export async function leaseDatabase(options: LeaseOptions = {}): Promise<LeasedDatabase> {
  assertKnownOptions(options, LEASE_OPTIONS)
  const { service: given, label = `process ${process.pid}`, through } = options
  const ttlSeconds = options.ttlSeconds ?? DEFAULTS.ttlSeconds
  const waitMs = options.waitMs ?? DEFAULTS.waitMs
  const request = { ttlSeconds, waitMs, label, ...(through !== undefined && { through }) }
  const { service, lent, folder } = await lendFrom(given, (address) => lend(address, request))
  folder?.addLease(lent.id)
  const stopExtending = keepExtending(service, lent, ttlSeconds)
  let released: Promise<void> | undefined
  const release = () => {
    stopExtending()
    released ??= giveBack(service, lent.id).then(() => folder?.removeLease(lent.id))
    return released
  }
  const { url, id, name, history } = lent
  return { url, id, name, history, release, [Symbol.asyncDispose]: release }
}

async function lendFrom(
  given: ServiceAddress | undefined,
  lendAt: (service: ServiceAddress) => Promise<Lent>,
): Promise<{ service: ServiceAddress; lent: Lent; folder?: RunFolder }> {
  const environment = readEnvironment()
  const running = given ?? environment.service
  if (running !== undefined) return { service: running, lent: await lendAt(running) }
  const service = await acquireSharedService(environment)
  // Its service gives back what a process leaves that crashes.
  const folder = findRunFolder(environment.settings)
  try {
    return { service, lent: await lendAt(service), folder }
  } catch (error) {
    if ((error as TestDatabaseError).code !== 'service_unreachable') throw error
    // It has ended, and left its record: start another.
    const another = await acquireSharedService(environment, { verify: true })
    return { service: another, lent: await lendAt(another), folder }
  }
}

/** Extends the lease while this process lives, without keeping it alive. */
function keepExtending(service: ServiceAddress, { id, name }: Lent, ttlSeconds: number) {
  const timer = setInterval(
    async () => {
      try {
        if (await extend(service, id, ttlSeconds)) return
        clearInterval(timer)
        process.emitWarning(`the test database ${name} is not lent to this process any more`)
      } catch {
        // The next attempt is before the lease runs out.
      }
    },
    (ttlSeconds * 1000) / 3,
  )
  timer.unref()
  return () => clearInterval(timer)
}
