import { EXIT, type ExitCode } from '../errors/codes.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { NotReadyReason } from '../readiness.ts'
import type { ServiceContext } from './context.ts'

/** How a start fails where ON_MIGRATION_FAILURE=stay keeps the service up: for `/readyz`, and for the log. */
const STAY_REASONS: Readonly<
  Partial<Record<ExitCode, { reason: NotReadyReason; happened: string }>>
> = {
  [EXIT.migration]: { reason: 'migration_failed', happened: 'migration failed' },
  [EXIT.history]: { reason: 'history_refused', happened: 'the migrations were refused' },
  [EXIT.lock]: { reason: 'waiting_for_lock', happened: 'could not acquire the migration lock' },
}

/** Whether the service stays up although its start failed. */
export function mayStay({ config, options, ending }: ServiceContext): boolean {
  return config.onMigrationFailure === 'stay' && !options.once && !ending.signal.aborted
}

/** With ON_MIGRATION_FAILURE=stay the service stays up, not ready, so that its status can be read. */
export function stayOrThrow(context: ServiceContext, error: unknown): void {
  const { log, readiness } = context
  const stay = error instanceof ServiceError ? STAY_REASONS[error.exitCode] : undefined
  if (stay === undefined || !mayStay(context)) throw error
  const { reason, happened } = stay
  reportFailure(context, error)
  log.error({ err: error }, `${happened}; staying up, not ready (ON_MIGRATION_FAILURE=stay)`)
  readiness.set({ ready: false, reason, detail: (error as ServiceError).message })
}

/** Reports to the metrics and the trace how the start failed; what a stop interrupted did not fail. */
export function reportFailure(
  { ending, observation }: Pick<ServiceContext, 'ending' | 'observation'>,
  error: unknown,
): void {
  if (ending.signal.aborted) return
  const code = error instanceof ServiceError ? error.code : 'internal_error'
  const message = error instanceof Error ? error.message : String(error)
  observation.onEvent({ kind: 'start_failed', code, message })
}
