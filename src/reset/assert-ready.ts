import { ServiceError } from '../errors/service-error.ts'
import type { Readiness, ReadinessState } from '../readiness.ts'

export type ResetMode = 'data' | 'rebuild'

/** Throws if the database has migrations that our files lack: a reset could not restore what they made. */
export function assertNotAhead(ahead: string | undefined): void {
  if (ahead === undefined) return
  throw new ServiceError(
    'ahead',
    `the database is ${ahead}, so resets and test databases are off; deploy the version that has these migrations`,
  )
}

/** Throws unless the service is ready. */
export function assertReady(state: ReadinessState): void {
  if (!state.ready) throw notReadyError(state, '')
}

/** Throws unless the service is ready, except that a rebuild is also accepted after a failed migration. */
export function assertReadyForReset(
  readiness: Pick<Readiness, 'currentForReset'>,
  mode: ResetMode,
): void {
  const state = readiness.currentForReset
  if (state.ready || (mode === 'rebuild' && state.reason === 'migration_failed')) return
  const remedy =
    state.reason === 'migration_failed'
      ? '; only a reset with {"mode": "rebuild"} is possible, which drops everything and migrates again'
      : ''
  throw notReadyError(state, remedy)
}

function notReadyError(
  { reason, detail }: Extract<ReadinessState, { ready: false }>,
  remedy: string,
): ServiceError {
  return new ServiceError('not_ready', `the service is not ready (${reason}): ${detail}${remedy}`, {
    extensions: { reason },
  })
}
