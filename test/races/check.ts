import { getBatch, type Queryable } from '../../client/client.ts'
import { checkBatch } from './check-batch.ts'
import { checkProcessBatch } from './check-process-batch.ts'
import type { CallRecord, History } from './history.ts'
import {
  type AuditRow,
  type CommandRow,
  loadCommands,
  loadFigures,
  loadProcesses,
  loadTrail,
} from './load.ts'
import { apply, type CommandState, insertedAs } from './model.ts'
import type { World } from './world.ts'

/** Compares what one schedule left in the database with the model; returns what is wrong. */
export async function check(db: Queryable, world: World, history: History): Promise<string[]> {
  const commands = await loadCommands(db, world)
  const trail = await loadTrail(db, world)
  const problems = [...history.problems, ...checkCommands(world, history, commands, trail)]
  for (const batch of world.batches) {
    const key = { domain: world.domain, batchId: batch.id }
    const row = await getBatch(db, key)
    if (row === null) throw new Error(`the batch ${batch.id} is gone`)
    const evidence = {
      batch,
      row,
      commands: commands.filter((command) => command.batchId === batch.id),
      events: trail.filter((event) => event.commandId === batch.id),
      history,
    }
    problems.push(
      ...(batch.plan.type === 'PROCESS'
        ? checkProcessBatch({ ...evidence, processes: await loadProcesses(db, key) })
        : checkBatch({ ...evidence, figures: await loadFigures(db, key) })),
    )
  }
  return problems
}

/** Replays each command's calls in the order of its audit trail: the order of its row's lock. */
function checkCommands(
  world: World,
  history: History,
  rows: readonly CommandRow[],
  trail: readonly AuditRow[],
): string[] {
  const problems: string[] = []
  const audited = new Set<number>()
  const states = new Map(
    world.commands.map((command): [string, CommandState] => [
      command.id,
      insertedAs(command.initial),
    ]),
  )
  for (const event of trail) {
    const call = event.call === null ? undefined : history.calls[event.call]
    const before = states.get(event.commandId)
    if (call === undefined || before === undefined || event.commandId !== call.command.id) continue
    const after = apply(before, call.call)
    const what = `${describeCall(call)} of a command that is ${before.status}`
    if (audited.has(call.number)) problems.push(`${what} was audited twice`)
    if (call.outcome === 'rolled back') problems.push(`${what} was rolled back, but audited`)
    if (after === null) problems.push(`${what} must change nothing, but was audited`)
    else if (call.call.kind === 'receive' && event.details?.attempt !== after.attempts) {
      problems.push(
        `${what} was audited as attempt ${event.details?.attempt}, not ${after.attempts}`,
      )
    }
    if (after !== null && call.seen !== undefined && describe(call.seen) !== describe(after)) {
      problems.push(`${what} left ${describe(call.seen)} instead of ${describe(after)}`)
    }
    audited.add(call.number)
    states.set(event.commandId, after ?? before)
  }
  for (const call of history.calls) {
    if (call.outcome === 'committed' && leavesTrail(call) && !audited.has(call.number)) {
      problems.push(`${describeCall(call)} was committed, but not audited`)
    }
  }
  for (const row of rows) {
    const state = states.get(row.commandId)
    if (state !== undefined && describe(row) !== describe(state)) {
      problems.push(`a command is ${describe(row)} instead of ${describe(state)}`)
    }
  }
  return problems
}

function leavesTrail({ call, answer }: CallRecord): boolean {
  return call.kind === 'finish' || call.kind === 'operate' || answer
}

function describe({ status, attempts, errorCode }: Omit<CommandState, 'finishedAs'>): string {
  return `${status}, ${attempts} attempts, ${errorCode}`
}

function describeCall({ call, number }: CallRecord): string {
  const what =
    'as' in call ? call.as : 'status' in call ? call.status : 'move' in call ? call.move : ''
  return `call ${number} (${call.kind} ${what})`
}
