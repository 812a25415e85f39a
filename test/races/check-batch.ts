import type { Batch } from '../../client/client.ts'
import type { History } from './history.ts'
import type { AuditRow, CommandRow } from './load.ts'
import { type Counts, count, countedAs, isComplete, isFinal, maxLag } from './model.ts'
import type { WorldBatch } from './world.ts'

/** What is known of one batch after its schedule has ended. */
export interface Evidence {
  readonly batch: WorldBatch
  readonly row: Batch
  readonly commands: readonly CommandRow[]
  readonly events: readonly AuditRow[]
  readonly history: History
}

type BatchEvidence = Evidence & { readonly figures: Counts }

/** What is wrong with a batch of commands: bounds, counters, events, what callers were told. */
export function checkBatch(evidence: BatchEvidence): string[] {
  const { batch, row, commands } = evidence
  const found = [
    ...checkBounds(row),
    ...(isCounted(evidence) ? checkMarks(evidence) : []),
    ...(isExact(evidence) ? checkCounts(evidence) : checkExcess(evidence)),
    ...checkStart(evidence),
    ...checkCompletion(evidence),
  ]
  const which = `a batch of ${commands.length} commands, total ${batch.totalCount}, ${row.status}`
  return found.map((problem) => `${which}: ${problem}`)
}

/** Not by hand; and of a copy, every command that its counts include has been inserted. */
function isCounted({ batch, commands }: BatchEvidence): boolean {
  const { byHand, copies, first, late } = batch.plan
  return !byHand && (copies.length === 0 || commands.length === first + late)
}

/** Whether counters and commands must agree. With more commands than total_count, they need not. */
function isExact(evidence: BatchEvidence): boolean {
  return isCounted(evidence) && evidence.commands.length <= evidence.batch.totalCount
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
  if (isMarked !== (row.status === status)) {
    problems.push(`${row.status}, completed at ${row.completedAt}`)
  }
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

/** The counters are the sum of the commands' marks. */
function checkMarks({ figures, commands }: BatchEvidence): string[] {
  const marks = commands.map(({ status, mark }) => (mark === 'AS_STATUS' ? status : mark))
  return compare('its exact figures', figures, count(marks), 0, 'marks')
}

function checkCounts({ batch, row, figures, commands }: BatchEvidence): string[] {
  const problems: string[] = []
  const truth = count(commands.map(({ status }) => status))
  const complete = isComplete(truth, batch.totalCount)
  if (complete !== (row.completedAt !== null)) problems.push(`complete should be ${complete}`)
  const lag = complete ? 0 : maxLag(batch.totalCount)
  problems.push(...compare('its row', countsOf(row), truth, lag))
  problems.push(...compare('its exact figures', figures, truth, 0))
  for (const { status, mark } of commands) {
    const isAdopted = batch.plan.adopted && mark === 'AS_STATUS'
    if (mark !== countedAs(status) && !isAdopted) {
      problems.push(`a command is ${status}, but counted as ${mark}`)
    }
  }
  return problems
}

/**
 * With more commands than total_count, counting stops there: the counters never say more than there
 * is, and once every command is final, the batch is complete.
 */
function checkExcess(evidence: BatchEvidence): string[] {
  const { batch, row, commands } = evidence
  if (!isCounted(evidence)) return []
  const found = countsOf(row)
  const truth = count(commands.map(({ status }) => status))
  const isMore =
    found.completed > truth.completed ||
    found.canceled > truth.canceled ||
    found.failed > truth.failed ||
    found.inTroubleshooting > truth.inTroubleshooting
  const problems = isMore ? compare('its row', found, truth, 0) : []
  const isOver = batch.totalCount > 0 && commands.every(({ status }) => isFinal(status))
  if (isOver && row.completedAt === null) problems.push('every command is final, but it runs on')
  return problems
}

/** Nothing, if the counts differ by no more than the lag. */
export function compare(
  what: string,
  found: Counts,
  truth: Counts,
  lag: number,
  of = 'commands',
): string[] {
  const isNear =
    Math.abs(found.completed - truth.completed) <= lag &&
    Math.abs(found.canceled - truth.canceled) <= lag &&
    Math.abs(found.failed - truth.failed) <= lag &&
    Math.abs(found.inTroubleshooting - truth.inTroubleshooting) <= lag
  if (isNear) return []
  return [`${what}: ${JSON.stringify(found)}, its ${of}: ${JSON.stringify(truth)}`]
}

function checkStart({ batch, row, events, history }: BatchEvidence): string[] {
  // A copy is inserted as started.
  if (batch.plan.copies.length > 0) return []
  const problems: string[] = []
  const audited = events.filter((event) => event.eventType === 'BATCH_STARTED').length
  const told = countAnswers(history, batch, 'BATCH_STARTED')
  const expected = row.startedAt === null ? 0 : 1
  // Counters moved by hand may complete a batch that has not started.
  const isUnstarted = batch.plan.byHand && row.completedAt !== null && audited === 0
  if ((audited !== expected && !isUnstarted) || told.committed > audited) {
    problems.push(
      `started at ${row.startedAt}, audited ${audited} times, reported ${told.committed} times`,
    )
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
    problems.push(`completion audited ${audited.length} times, reported ${told.committed} times`)
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
