import { ServiceError } from '../errors/service-error.ts'

/** What is wrong with one committed file or one record of the database. */
export interface HistoryProblem {
  readonly filename: string
  readonly problem: string
}

const MOST_SHOWN = 20

/** One error that names every file that does not fit; nothing has been run. */
export function refuseHistory(problems: readonly HistoryProblem[]): ServiceError {
  const lines = problems
    .slice(0, MOST_SHOWN)
    .map(({ filename, problem }) => `${filename} ${problem}`)
  const more = problems.length - lines.length
  if (more > 0) lines.push(`and ${more} more`)
  return new ServiceError(
    'history_refused',
    `migrations refused, nothing was run: ${lines.join('; ')}`,
    { extensions: { problems } },
  )
}
