import { ServiceError } from '../../errors/service-error.ts'

const LAST_LINES = 10

/** PostgreSQL did not start: the reason, and the last lines of its output. */
export function startError(reason: string, output: string, cause?: unknown): ServiceError {
  const lines = output.trim() === '' ? [] : output.trim().split('\n').slice(-LAST_LINES)
  const hint = output.includes('shared libraries')
    ? '; its packages link their libraries when they are installed: run `npm rebuild`'
    : ''
  return new ServiceError(
    'embedded_start_failed',
    `the embedded server cannot start: ${reason}${hint}${['', ...lines].join('\n  ')}`,
    { cause },
  )
}
