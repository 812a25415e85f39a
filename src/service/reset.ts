import { baselineHasSchema } from '../baseline/store.ts'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { OnEvent, ResetEvent } from '../events.ts'
import type { Log } from '../logger.ts'
import { createSeedVersions, readSeeds } from '../migrations/files/seeds.ts'
import type { AppliedMigration } from '../migrations/history.ts'
import { combineHooks } from '../migrations/hooks.ts'
import { findOptionalSchema, type OptionalSchema } from '../migrations/optional-schema.ts'
import { type ProvisionHooks, provision } from '../migrations/provision.ts'
import { cancelSessions, describeSession } from '../migrations/tool/cancel.ts'
import { applicationName } from '../postgres/application-name.ts'
import { retryConnecting } from '../postgres/retry.ts'
import type { Readiness } from '../readiness.ts'
import { assertReadyForReset } from '../reset/assert-ready.ts'
import { createResetter, type ResetReport, type Resetter } from '../reset/resetter.ts'
import type { ResetSeeds } from '../reset/seeds.ts'
import { createResetSessions } from '../reset/session.ts'
import { createResetHooks } from '../reset/startup.ts'

export interface OpenResetOptions {
  readonly config: Config
  readonly database: Database
  readonly readiness: Readiness
  readonly log: Log
  readonly signal: AbortSignal
  /** Records the schema that a rebuild makes. */
  readonly recording: ProvisionHooks
  /** Receives the history after a rebuild. */
  readonly onMigrated: (
    applied: readonly AppliedMigration[],
    optionalSchema: 'on' | 'off',
  ) => Promise<void>
  readonly onEvent: OnEvent
}

export interface OpenedReset {
  readonly resetter: Resetter
  /** What the start does for the reset, around the migrations. */
  readonly hooks: ProvisionHooks
}

/** Creates the resetter of this database, on a session of its own. */
export function openReset(options: OpenResetOptions): OpenedReset {
  const { config, database, readiness, log, signal, onEvent, recording } = options
  const sessions = createResetSessions({
    connect: () => database.open('reset'),
    database,
    others: config.otherSchemas,
    readSeeds: createSeedVersions(config.seedsDir),
  })
  const seeds = createResetSeeds(options)
  const resetter = createResetter({
    sessions,
    database,
    readiness,
    log,
    migrate: async (rebuilding, onProgress) => {
      const hooks = combineHooks(rebuilding, recording)
      const optionalSchema = await recallOptionalSchema(options)
      const provisionOptions = {
        ...{ config, database, optionalSchema, log, signal, onProgress, onEvent, hooks },
      }
      // A reset answers soon: the next rebuild repairs what a lost database leaves.
      const result = await provision({ ...provisionOptions, reconnects: false })
      await options.onMigrated(result.applied, result.optionalSchema.value)
    },
    seeds,
    trial: {
      async prepare(client) {
        // As late as the rest of the migrations, which a start with nothing pending does not load.
        const { prepareTrial } = await import('../migrations/trial.ts')
        const optionalSchema = await recallOptionalSchema(options)
        const seeds = await readSeeds(config.seedsDir)
        return prepareTrial(client, { config, database, optionalSchema, seeds, log, signal })
      },
      openSession: () => openTrialSession(options),
    },
  })
  return {
    hooks: createResetHooks({
      ...{ sessions, seeds, log },
      onInterrupted: readiness.setResetProblem,
    }),
    resetter: {
      ...resetter,
      get stats() {
        return resetter.stats
      },
      reset(resetOptions) {
        const assertWanted = () => {
          // A stop ends the wait for a lock, and the answer says so.
          if (signal.aborted) assertReadyForReset(readiness, resetOptions.mode)
          resetOptions.assertWanted?.()
        }
        const { mode } = resetOptions
        return reportReset(mode, options, resetter.reset({ ...resetOptions, assertWanted }))
      },
    },
  }
}

/** Reports how a reset ended; its time does not include the wait for earlier ones, where it succeeded. */
async function reportReset(
  mode: ResetEvent['mode'],
  { onEvent, log }: Pick<OpenResetOptions, 'onEvent' | 'log'>,
  resetting: Promise<ResetReport>,
): Promise<ResetReport> {
  const startedAt = performance.now()
  try {
    const report = await resetting
    onEvent({ kind: 'reset', mode, outcome: 'succeeded', durationMs: report.durationMs })
    return report
  } catch (error) {
    const durationMs = Math.round(performance.now() - startedAt)
    const outcome = error instanceof ServiceError ? error.code : 'internal_error'
    onEvent({ kind: 'reset', mode, outcome, durationMs })
    // What is not the client's doing is logged with its answer.
    if (error instanceof ServiceError && error.statusCode < 500) {
      log.warn({ mode, code: outcome, reason: error.message, durationMs }, 'reset rejected')
    }
    throw error
  }
}

/** Runs seeds with the settings of the migrations. */
function createResetSeeds(options: OpenResetOptions): ResetSeeds {
  const { config, database, log, signal } = options
  return {
    folder: config.seedsDir,
    async run(client, seeds, record) {
      if (seeds.length === 0) return
      const { createToolSettings } = await import('../migrations/apply.ts')
      const { runSeeds } = await import('../migrations/seeds.ts')
      const { placeholder, wanted = 'on' } = await recallOptionalSchema(options)
      const placeholders = { [placeholder]: wanted }
      const { settings } = await createToolSettings({ client, config, database, placeholders })
      await runSeeds(seeds, {
        open: (purpose) => database.open(purpose, { asNewConnection: true }),
        ...{ waitMs: config.databaseWaitMs, pool: database.pool, settings, record, log, signal },
      })
    },
  }
}

/** How long a rebuild waits for a connection that it will need after dropping everything. */
const TRIAL_CONNECTION_MS = 2000

/** Opens a session whose statement ends when the service stops. */
async function openTrialSession({ config, database, log, signal }: OpenResetOptions) {
  const waitMs = Math.min(config.databaseWaitMs, TRIAL_CONNECTION_MS)
  const session = await retryConnecting(() => database.open(TRIAL, { asNewConnection: true }), {
    ...{ waitMs, log, signal },
  })
  const described = describeSession(applicationName(TRIAL), session)
  const cancel = () => void cancelSessions(database.pool, described, log)
  signal.addEventListener('abort', cancel)
  session.once('end', () => signal.removeEventListener('abort', cancel))
  return session
}

const TRIAL = 'trial'

/**
 * A rebuild makes the optional schema again if the migrations made it: the baseline knows, whatever
 * happened to the schema since. Without a baseline it is what exists now.
 */
async function recallOptionalSchema({
  config: { optionalSchema, migrationsDir },
  database: { pool },
}: OpenResetOptions): Promise<OptionalSchema> {
  if (optionalSchema.wanted !== undefined) return optionalSchema
  const wasThere = await baselineHasSchema(pool, optionalSchema.name)
  const wanted =
    wasThere === undefined
      ? await findOptionalSchema(pool, migrationsDir, optionalSchema)
      : wasThere
        ? 'on'
        : 'off'
  return { ...optionalSchema, wanted }
}
