import { getBatch, type Queryable } from '../../client/client.ts'
import { checkBatch } from './check-batch.ts'
import type { CallRecord, History } from './history.ts'
import { type AuditRow, type CommandRow, loadCommands, loadFigures, loadTrail } from './load.ts'
import { apply, type CommandState, newCommand } from './model.ts'
import type { World } from './world.ts'

/** Compares what one schedule left in the database with the model and the rules; what is wrong. */
export async function check(db: Queryable, world: World, history: History): Promise<string[]> {
  const commands = await loadCommands(db, world)
  const trail = await loadTrail(db, world)
  const problems = [...history.problems, ...checkCommands(history, commands, trail)]
  for (const batch of world.batches) {
    const key = { domain: world.domain, batchId: batch.id }
    const row = await getBatch(db, key)
    if (row === null) throw new Error(`the batch ${batch.id} is gone`)
    problems.push(
      ...checkBatch({
        batch,
        row,
        figures: await loadFigures(db, key),
        commands: commands.filter((command) => command.batchId === batch.id),
        events: trail.filter((event) => event.commandId === batch.id),
        history,
      }),
    )
  }
  return problems
}

/** Replays each command's calls in the order of its audit trail, which is that of its row's lock. */
function checkCommands(
  history: History,
  rows: readonly CommandRow[],
  trail: readonly AuditRow[],
): string[] {
  const problems: string[] = []
  const audited = new Set<number>()
  const states = new Map<string, CommandState>()
  for (const event of trail) {
    const call = event.call === null ? undefined : history.calls[event.call]
    if (call === undefined || event.commandId !== call.command.id) continue
    const before = states.get(event.commandId) ?? newCommand
    const after = apply(before, call.call)
    const what = `${describeCall(call)} of a command ${before.status}`
    if (audited.has(call.number)) problems.push(`${what} was audited twice`)
    if (call.outcome === 'rolled back') problems.push(`${what} was rolled back, yet audited`)
    if (after === null) problems.push(`${what} must change nothing, yet was done`)
    else if (call.call.kind === 'receive' && event.details?.attempt !== after.attempts) {
      problems.push(
        `${what} was audited as attempt ${event.details?.attempt}, not ${after.attempts}`,
      )
    }
    audited.add(call.number)
    states.set(event.commandId, after ?? before)
  }
  for (const call of history.calls) {
    if (call.outcome === 'committed' && leavesTrail(call) && !audited.has(call.number)) {
      problems.push(`${describeCall(call)} was committed, yet not audited`)
    }
  }
  for (const row of rows) {
    const { status, attempts, errorCode } = states.get(row.commandId) ?? newCommand
    const expected = `${status}, ${attempts} attempts, ${errorCode}`
    const found = `${row.status}, ${row.attempts} attempts, ${row.errorCode}`
    if (found !== expected) problems.push(`a command is ${found} instead of ${expected}`)
  }
  return problems
}

function leavesTrail({ call, answer }: CallRecord): boolean {
  return call.kind === 'finish' || call.kind === 'operate' || answer
}

function describeCall({ call, number }: CallRecord): string {
  const what =
    'as' in call ? call.as : 'status' in call ? call.status : 'move' in call ? call.move : ''
  return `call ${number} (${call.kind} ${what})`
}
