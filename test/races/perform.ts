import { randomUUID } from 'node:crypto'
import * as bus from '../../client/client.ts'
import { query } from '../../client/query.ts'
import type { History, Outcome } from './history.ts'
import type { Move, Step } from './schedule.ts'
import { insertNumbers, markInserted, type World, type WorldBatch } from './world.ts'

/** What a step needs: whose transaction it is part of, and whom to tell how that ended. */
export interface Doing {
  readonly db: bus.Queryable
  readonly world: World
  readonly history: History
  readonly startedAtMs: number
  onSettled(settle: (outcome: Outcome) => void): void
}

/** An operator who looks before acting found the command gone, and rolls back. */
export class GaveWay extends Error {}

const settleBatch = {
  COMPLETED: bus.tsqComplete,
  CANCELED: bus.tsqCancel,
  PENDING: bus.tsqRetry,
} as const

const operatorEvent = {
  COMPLETED: 'OPERATOR_COMPLETE',
  CANCELED: 'OPERATOR_CANCEL',
  PENDING: 'OPERATOR_RETRY',
} as const

/** Does one step and writes down what came back. */
export async function perform(doing: Doing, step: Step): Promise<void> {
  const { db, world, history } = doing
  switch (step.do) {
    case 'receive':
    case 'finish':
    case 'fail':
    case 'operate':
      return performOnCommand(doing, step)
    case 'start':
    case 'count': {
      const batch = world.batches[step.batch]
      if (batch === undefined) return
      const key = { domain: world.domain, batchId: batch.id }
      history.callCount++
      if (step.do === 'start') {
        if (await bus.startBatch(db, key)) answer(doing, batch, 'BATCH_STARTED')
      } else if (batch.plan.byHand) {
        const completed = await bus.updateBatchCounters(db, key, step.update)
        if (completed) answer(doing, batch, 'BATCH_COMPLETED')
      }
      return
    }
    case 'insert': {
      const late = world.batches[step.batch]?.late ?? []
      const numbers = late.splice(0, step.count)
      doing.onSettled((outcome) => {
        if (outcome === 'committed') for (const number of numbers) markInserted(world, number)
        // After a lost connection nobody knows: they are not used, and counted as they are found.
        else if (outcome === 'rolled back') late.unshift(...numbers)
      })
      return insertNumbers(db, world, numbers)
    }
    case 'finish unknown': {
      history.callCount++
      const completed = await bus.finishCommand(db, {
        domain: world.domain,
        commandId: randomUUID(),
        status: step.status,
        eventType: step.status,
      })
      if (completed) history.problems.push('a finish of an unknown command completed a batch')
    }
  }
}

async function performOnCommand(
  doing: Doing,
  step: Extract<Step, { command: number }>,
): Promise<void> {
  const { db, world, history } = doing
  const command = world.commands[step.command]
  if (command === undefined || command.insertedAtMs > doing.startedAtMs) return
  const key = { domain: world.domain, commandId: command.id }
  const number = history.calls.length
  history.callCount++

  switch (step.do) {
    case 'receive': {
      const record = history.addCall(command, { kind: 'receive', as: step.as })
      doing.onSettled((outcome) => {
        record.outcome = outcome
      })
      const row = await bus.receiveCommand(db, { ...key, newStatus: step.as, msgId: number })
      record.answer = row !== null
      return
    }
    case 'fail': {
      const errorCode = `E${number}`
      const record = history.addCall(command, { kind: 'fail', errorCode })
      doing.onSettled((outcome) => {
        record.outcome = outcome
      })
      record.answer = await bus.failCommand(db, {
        ...key,
        errorType: 'TRANSIENT',
        errorCode,
        errorMsg: 'It will be retried.',
        attempt: 1,
        maxAttempts: 3,
        msgId: number,
      })
      return
    }
    case 'finish': {
      const errorCode = step.status === 'COMPLETED' ? null : `E${number}`
      const record = history.addCall(command, {
        kind: 'finish',
        status: step.status,
        errorCode,
      })
      doing.onSettled((outcome) => {
        record.outcome = outcome
      })
      const completed = await bus.finishCommand(db, {
        ...key,
        status: step.status,
        eventType: step.status,
        errorCode,
        details: { call: number },
      })
      record.answer = completed
      if (completed) answer(doing, command.batch, 'BATCH_COMPLETED')
      return
    }
    case 'operate': {
      const record = history.addCall(command, { kind: 'operate', move: step.move })
      doing.onSettled((outcome) => {
        record.outcome = outcome
      })
      await setStatus(db, key, step.move, step.blind)
      const eventType = operatorEvent[step.move]
      await bus.insertAuditEvents(db, [{ ...key, eventType, details: { call: number } }])
      if (command.batch === null) return
      const batchKey = { domain: world.domain, batchId: command.batch.id }
      const completed = await settleBatch[step.move](db, batchKey)
      record.answer = completed
      if (completed) answer(doing, command.batch, 'BATCH_COMPLETED')
    }
  }
}

/** A blind operator acts on what was read a while ago, as released clients do. */
async function setStatus(
  db: bus.Queryable,
  key: bus.CommandKey,
  status: Move,
  blind: boolean,
): Promise<void> {
  if (!blind) {
    if (!(await bus.leaveTroubleshooting(db, { ...key, status }))) throw new GaveWay()
    return
  }
  await query(
    db,
    `update commandbus.command
        set status = $3::text,
            attempts = case $3::text when 'PENDING' then 0 else attempts end,
            last_error_code = case $3::text when 'PENDING' then null else last_error_code end,
            updated_at = now()
      where domain = $1::text and command_id = $2::uuid`,
    [key.domain, key.commandId, status],
  )
}

function answer(
  doing: Doing,
  batch: WorldBatch | null,
  event: 'BATCH_STARTED' | 'BATCH_COMPLETED',
): void {
  if (batch === null) {
    doing.history.problems.push('a command without a batch completed one')
    return
  }
  const given = doing.history.addAnswer(batch, event)
  doing.onSettled((outcome) => {
    given.outcome = outcome
  })
}
