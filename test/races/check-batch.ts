import type { Batch } from '../../client/client.ts'
import type { History } from './history.ts'
import type { AuditRow, CommandRow } from './load.ts'
import { type Counts, count, isComplete, maxLag, newCommand } from './model.ts'
import type { WorldBatch } from './world.ts'

/** Everything that is known of one batch when its schedule has ended. */
export interface BatchEvidence {
  readonly batch: WorldBatch
  readonly row: Batch
  readonly figures: Counts
  readonly commands: readonly CommandRow[]
  readonly events: readonly AuditRow[]
  readonly history: History
}

const counted: readonly string[] = ['COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE']

/** What is wrong with a batch: its bounds, its counters, its events, what its callers were told. */
export function checkBatch(evidence: BatchEvidence): string[] {
  const { batch, row, commands } = evidence
  const found = [
    ...checkBounds(row),
    ...(isExact(evidence) ? checkCounts(evidence) : checkExcess(evidence)),
    ...checkStart(evidence),
    ...checkCompletion(evidence),
  ]
  const which = `a batch of ${commands.length} commands, total ${batch.totalCount}, ${row.status}`
  return found.map((problem) => `${which}: ${problem}`)
}

/** Whether counters and commands must agree: by hand, or with too many commands, they need not. */
function isExact({ batch, commands }: BatchEvidence): boolean {
  return !batch.plan.byHand && commands.length <= batch.totalCount
}

/** What holds for every batch at every commit. */
export function checkBounds(row: Batch): string[] {
  const counts = countsOf(row)
  const sum = counts.completed + counts.canceled + counts.failed + counts.inTroubleshooting
  const isOutside = Object.values(counts).some((value) => value < 0) || sum > row.totalCount
  const isMarked = row.completedAt !== null
  const problems = isOutside ? [`counters out of bounds: ${JSON.stringify(counts)}`] : []
  if (isMarked !== isComplete(counts, row.totalCount)) {
    problems.push(`complete: ${isMarked}, its counters: ${JSON.stringify(counts)}`)
  }
  const status = row.canceledCount + row.failedCount > 0 ? 'COMPLETED_WITH_FAILURES' : 'COMPLETED'
  if (isMarked !== (row.status === status)) problems.push(`completed at ${row.completedAt}`)
  return problems
}

export function countsOf(row: Batch): Counts {
  return {
    completed: row.completedCount,
    canceled: row.canceledCount,
    failed: row.failedCount,
    inTroubleshooting: row.inTroubleshootingCount,
  }
}

function checkCounts({ batch, row, figures, commands }: BatchEvidence): string[] {
  const problems: string[] = []
  const truth = count(commands.map(({ status }) => ({ ...newCommand, status })))
  const complete = isComplete(truth, batch.totalCount)
  if (complete !== (row.completedAt !== null)) problems.push(`complete should be ${complete}`)
  const lag = complete ? 0 : maxLag(batch.totalCount)
  problems.push(...compare('its row', countsOf(row), truth, lag))
  problems.push(...compare('its exact figures', figures, truth, 0))
  for (const { status, mark } of commands) {
    const expected = counted.includes(status) ? status : null
    const isAdopted = batch.plan.adopted && mark === 'AS_STATUS'
    if (mark !== expected && !isAdopted)
      problems.push(`a command is ${status}, but counted as ${mark}`)
  }
  return problems
}

/** With too many commands the counters stop at the total: they never say more than there is. */
function checkExcess({ batch, row, commands }: BatchEvidence): string[] {
  if (batch.plan.byHand) return []
  const found = countsOf(row)
  const truth = count(commands.map(({ status }) => ({ ...newCommand, status })))
  const isMore =
    found.completed > truth.completed ||
    found.canceled > truth.canceled ||
    found.failed > truth.failed ||
    found.inTroubleshooting > truth.inTroubleshooting
  return isMore ? compare('its row', found, truth, 0) : []
}

/** Nothing where the counts differ by no more than the lag. */
export function compare(what: string, found: Counts, truth: Counts, lag: number): string[] {
  const isNear =
    Math.abs(found.completed - truth.completed) <= lag &&
    Math.abs(found.canceled - truth.canceled) <= lag &&
    Math.abs(found.failed - truth.failed) <= lag &&
    Math.abs(found.inTroubleshooting - truth.inTroubleshooting) <= lag
  if (isNear) return []
  return [`${what}: ${JSON.stringify(found)}, its commands: ${JSON.stringify(truth)}`]
}

function checkStart({ batch, row, events, history }: BatchEvidence): string[] {
  const problems: string[] = []
  const audited = events.filter((event) => event.eventType === 'BATCH_STARTED').length
  const told = countAnswers(history, batch, 'BATCH_STARTED')
  const expected = row.startedAt === null ? 0 : 1
  // Counters moved by hand may complete a batch that nobody has started.
  const isUnstarted = batch.plan.byHand && row.completedAt !== null && audited === 0
  if ((audited !== expected && !isUnstarted) || told.committed > audited) {
    problems.push(`started at ${row.startedAt}, audited ${audited} times, told ${told.committed}`)
  }
  const mustHaveStarted = history.calls.some(
    ({ command, call, outcome }) =>
      command.batch === batch && call.kind === 'finish' && outcome === 'committed',
  )
  if (row.startedAt === null && (mustHaveStarted || row.status === 'IN_PROGRESS')) {
    problems.push('it should have started')
  }
  return problems
}

function checkCompletion({ batch, row, events, history }: BatchEvidence): string[] {
  const problems: string[] = []
  const audited = events.filter((event) => event.eventType === 'BATCH_COMPLETED')
  const told = countAnswers(history, batch, 'BATCH_COMPLETED')
  const expected = row.completedAt === null ? 0 : 1
  const isTold = told.committed <= expected && told.committed + told.unknown >= expected
  if (audited.length !== expected || !isTold) {
    problems.push(`completion audited ${audited.length} times, told ${told.committed} times`)
  }
  for (const { details } of audited) {
    const isRight =
      details?.batch_id === row.batchId &&
      details.total_count === row.totalCount &&
      details.completed_count === row.completedCount &&
      details.canceled_count === row.canceledCount &&
      details.failed_count === row.failedCount
    if (!isRight) problems.push(`completion audited as ${JSON.stringify(details)}`)
  }
  return problems
}

function countAnswers(
  history: History,
  batch: WorldBatch,
  event: 'BATCH_STARTED' | 'BATCH_COMPLETED',
): { committed: number; unknown: number } {
  const answers = history.answers.filter(
    (answer) => answer.batch === batch && answer.event === event,
  )
  const having = (outcome: string) => answers.filter((answer) => answer.outcome === outcome).length
  return { committed: having('committed'), unknown: having('unknown') }
}
