import { ServiceError } from '../errors/service-error.ts'

/** What is wrong with one committed file, or with one row of the database's history. */
export interface HistoryProblem {
  readonly filename: string
  readonly problem: string
}

const MAX_LISTED = 20

/** The error that names every file that does not fit. It is thrown before anything is run. */
export function historyRefusedError(
  problems: readonly HistoryProblem[],
  what: 'migrations' | 'seeds' = 'migrations',
): ServiceError {
  const lines = problems
    .slice(0, MAX_LISTED)
    .map(({ filename, problem }) => `${filename} ${problem}`)
  const more = problems.length - lines.length
  if (more > 0) lines.push(`and ${more} more`)
  return new ServiceError(
    'history_refused',
    `the ${what} were rejected and nothing was run: ${lines.join('; ')}`,
    { extensions: { problems } },
  )
}
