import { ServiceError } from '../errors/service-error.ts'
import type { Readiness } from '../readiness.ts'

export type ResetMode = 'data' | 'rebuild'

/** Throws unless the service is ready, except that a rebuild is also accepted after a failed migration. */
export function assertReadyForReset(
  readiness: Pick<Readiness, 'currentForReset'>,
  mode: ResetMode,
): void {
  const state = readiness.currentForReset
  if (state.ready || (mode === 'rebuild' && state.reason === 'migration_failed')) return
  const remedy =
    state.reason === 'migration_failed'
      ? '; reset with {"mode": "rebuild"} is accepted and migrates again'
      : ''
  throw new ServiceError(
    'not_ready',
    `the service is not ready (${state.reason}): ${state.detail}${remedy}`,
    { extensions: { reason: state.reason } },
  )
}
