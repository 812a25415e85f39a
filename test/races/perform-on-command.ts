import * as bus from '../../client/client.ts'
import { query } from '../../client/query.ts'
import { addAnswer, addCall, type Doing } from './doing.ts'
import type { CallRecord } from './history.ts'
import { loadState } from './load.ts'
import type { Move, Step } from './schedule.ts'
import type { WorldCommand } from './world.ts'

/** An operator came too late: the command has left troubleshooting, or is final. Roll back. */
export class TooLate extends Error {}

/** Performs a step that concerns one command; the call's number goes into the audit trail. */
export async function performOnCommand(
  doing: Doing,
  step: Extract<Step, { command: number }>,
): Promise<void> {
  const command = doing.world.commands[step.command]
  if (command === undefined || command.insertedAtMs > doing.startedAtMs) return
  const key = { domain: doing.world.domain, commandId: command.id }
  const record = await performStep(doing, command, key, step)
  const isLocked = record.answer || record.call.kind === 'finish' || record.call.kind === 'operate'
  if (doing.isInTransaction && isLocked) record.seen = await loadState(doing.db, key)
}

function performStep(
  doing: Doing,
  command: WorldCommand,
  key: bus.CommandKey,
  step: Extract<Step, { command: number }>,
): Promise<CallRecord> {
  switch (step.do) {
    case 'receive':
      return receive(doing, command, key, step.as)
    case 'fail':
      return fail(doing, command, key)
    case 'finish':
      return finish(doing, command, key, step.status)
    case 'operate':
      return operate(doing, command, key, step)
  }
}

async function receive(
  doing: Doing,
  command: WorldCommand,
  key: bus.CommandKey,
  as: 'IN_PROGRESS' | 'PENDING',
): Promise<CallRecord> {
  const record = addCall(doing, command, { kind: 'receive', as })
  const call = { ...key, newStatus: as, msgId: record.number }
  record.answer = (await bus.receiveCommand(doing.db, call)) !== null
  return record
}

async function fail(doing: Doing, command: WorldCommand, key: bus.CommandKey): Promise<CallRecord> {
  const errorCode = `E${doing.history.calls.length}`
  const record = addCall(doing, command, { kind: 'fail', errorCode })
  record.answer = await bus.failCommand(doing.db, {
    ...key,
    errorType: 'TRANSIENT',
    errorCode,
    errorMsg: 'It will be retried.',
    attempt: 1,
    maxAttempts: 3,
    msgId: record.number,
  })
  return record
}

async function finish(
  doing: Doing,
  command: WorldCommand,
  key: bus.CommandKey,
  status: bus.CommandStatus,
): Promise<CallRecord> {
  const errorCode = status === 'COMPLETED' ? null : `E${doing.history.calls.length}`
  const record = addCall(doing, command, { kind: 'finish', status, errorCode })
  const details = { call: record.number }
  const call = { ...key, status, eventType: status, errorCode, details }
  record.answer = await bus.finishCommand(doing.db, call)
  if (record.answer) addAnswer(doing, command.batch, 'BATCH_COMPLETED')
  return record
}

const moves = {
  COMPLETED: { eventType: 'OPERATOR_COMPLETE', settle: bus.tsqComplete },
  CANCELED: { eventType: 'OPERATOR_CANCEL', settle: bus.tsqCancel },
  PENDING: { eventType: 'OPERATOR_RETRY', settle: bus.tsqRetry },
} as const

async function operate(
  doing: Doing,
  command: WorldCommand,
  key: bus.CommandKey,
  { move, blind }: { readonly move: Move; readonly blind: boolean },
): Promise<CallRecord> {
  const { db } = doing
  const { eventType, settle } = moves[move]
  const record = addCall(doing, command, { kind: 'operate', move })
  if (blind) await setStatus(db, key, move)
  else if (!(await bus.leaveTroubleshooting(db, { ...key, status: move }))) throw new TooLate()
  await bus.insertAuditEvents(db, [{ ...key, eventType, details: { call: record.number } }])
  if (command.batch === null) return record

  record.answer = await settle(db, { domain: key.domain, batchId: command.batch.id })
  if (record.answer) addAnswer(doing, command.batch, 'BATCH_COMPLETED')
  return record
}

/** Sets the row as released clients do: based on what they read earlier. */
async function setStatus(db: bus.Queryable, key: bus.CommandKey, status: Move): Promise<void> {
  try {
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
  } catch (error) {
    throw error instanceof bus.CommandIsFinalError ? new TooLate() : error
  }
}
