import { checkBounds, compare, countsOf, type Evidence } from './check-batch.ts'
import { countProcesses, type ProcessState } from './model.ts'

/**
 * Checks a batch of processes: its row is what the last refresh found, and nothing but refreshes has
 * touched it. The last steps of a schedule change processes, each followed by a refresh.
 */
export function checkProcessBatch(
  evidence: Evidence & { readonly processes: readonly ProcessState[] },
): string[] {
  const { batch, row, commands, events, history, processes } = evidence
  const expected = countProcesses(processes, batch.totalCount)
  const problems = [...checkBounds(row), ...compare('its row', countsOf(row), expected, 0)]
  const isStarted = processes.some(({ status }) => status !== 'PENDING')
  if (isStarted && (row.status === 'PENDING' || row.startedAt === null)) {
    problems.push('it should have started')
  }
  if (events.length > 0) problems.push(`${events[0]?.eventType} was audited`)
  if (history.answers.some((answer) => answer.batch === batch)) {
    problems.push('a call reported that it started or completed the batch')
  }
  if (commands.some(({ mark }) => mark !== null)) problems.push('a command was counted')
  return problems.map(
    (problem) => `a batch of ${processes.length} processes, total ${batch.totalCount}: ${problem}`,
  )
}
