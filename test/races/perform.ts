import { randomUUID } from 'node:crypto'
import * as bus from '../../client/client.ts'
import { query } from '../../client/query.ts'
import { addAnswer, type Doing } from './doing.ts'
import { performOnCommand } from './perform-on-command.ts'
import { performRefresh } from './perform-refresh.ts'
import type { Step } from './schedule.ts'
import { insertNumbers, markInserted, type WorldBatch } from './world.ts'

/** Performs one step and records what it returned. */
export async function perform(doing: Doing, step: Step): Promise<void> {
  const { db, world, history } = doing
  if ('command' in step) return performOnCommand(doing, step)
  if (step.do === 'finish unknown') {
    history.callCount++
    const unknown = { domain: world.domain, commandId: randomUUID(), eventType: step.status }
    const completed = await bus.finishCommand(db, { ...unknown, status: step.status })
    if (completed) history.problems.push('a finish of an unknown command completed a batch')
    return
  }

  const batch = world.batches[step.batch]
  if (batch === undefined) return
  const key = { domain: world.domain, batchId: batch.id }
  switch (step.do) {
    case 'insert':
      return insertLate(doing, batch, step.count)
    case 'refresh':
      return performRefresh(doing, batch)
    case 'start':
      history.callCount++
      if (await bus.startBatch(db, key)) addAnswer(doing, batch, 'BATCH_STARTED')
      return
    case 'settle':
      history.callCount++
      if (await bus.tsqComplete(db, key)) addAnswer(doing, batch, 'BATCH_COMPLETED')
      return
    case 'process':
      return setProcess(doing, batch, step)
    case 'count':
      if (!batch.plan.byHand) return
      history.callCount++
      if (await bus.updateBatchCounters(db, key, step.update)) {
        addAnswer(doing, batch, 'BATCH_COMPLETED')
      }
  }
}

async function insertLate(doing: Doing, { late }: WorldBatch, count: number): Promise<void> {
  const numbers = late.splice(0, count)
  doing.onSettled((outcome) => {
    if (outcome === 'committed') for (const number of numbers) markInserted(doing.world, number)
    // If the connection broke, it is unknown whether they exist: no step uses them.
    else if (outcome === 'rolled back') late.unshift(...numbers)
  })
  return insertNumbers(doing.db, doing.world, numbers)
}

async function setProcess(
  { db, world }: Doing,
  { processes }: WorldBatch,
  step: { readonly process: number; readonly status: string },
): Promise<void> {
  if (processes.length === 0) return
  await query(
    db,
    `update commandbus.process set status = $3::text, updated_at = now()
      where domain = $1::text and process_id = $2::uuid`,
    [world.domain, processes[step.process % processes.length], step.status],
  )
}
