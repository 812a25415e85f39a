import * as bus from '../../client/client.ts'
import { query } from '../../client/query.ts'
import { addAnswer, addCall, type Doing } from './doing.ts'
import type { Move, Step } from './schedule.ts'
import type { WorldCommand } from './world.ts'

/** An operator who looks before acting found the command gone, and rolls back. */
export class GaveWay extends Error {}

/** Does a step that is about one command; the call's number goes into the audit trail. */
export async function performOnCommand(
  doing: Doing,
  step: Extract<Step, { command: number }>,
): Promise<void> {
  const command = doing.world.commands[step.command]
  if (command === undefined || command.insertedAtMs > doing.startedAtMs) return
  const key = { domain: doing.world.domain, commandId: command.id }
  switch (step.do) {
    case 'receive': {
      const record = addCall(doing, command, { kind: 'receive', as: step.as })
      const call = { ...key, newStatus: step.as, msgId: record.number }
      record.answer = (await bus.receiveCommand(doing.db, call)) !== null
      return
    }
    case 'fail':
      return fail(doing, command, key)
    case 'finish':
      return finish(doing, command, key, step.status)
    case 'operate':
      return operate(doing, command, key, step)
  }
}

async function fail(doing: Doing, command: WorldCommand, key: bus.CommandKey): Promise<void> {
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
}

async function finish(
  doing: Doing,
  command: WorldCommand,
  key: bus.CommandKey,
  status: bus.CommandStatus,
): Promise<void> {
  const errorCode = status === 'COMPLETED' ? null : `E${doing.history.calls.length}`
  const record = addCall(doing, command, { kind: 'finish', status, errorCode })
  const details = { call: record.number }
  const call = { ...key, status, eventType: status, errorCode, details }
  record.answer = await bus.finishCommand(doing.db, call)
  if (record.answer) addAnswer(doing, command.batch, 'BATCH_COMPLETED')
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
): Promise<void> {
  const { db } = doing
  const { eventType, settle } = moves[move]
  const record = addCall(doing, command, { kind: 'operate', move })
  if (blind) await setStatus(db, key, move)
  else if (!(await bus.leaveTroubleshooting(db, { ...key, status: move }))) throw new GaveWay()
  await bus.insertAuditEvents(db, [{ ...key, eventType, details: { call: record.number } }])
  if (command.batch === null) return

  record.answer = await settle(db, { domain: key.domain, batchId: command.batch.id })
  if (record.answer) addAnswer(doing, command.batch, 'BATCH_COMPLETED')
}

/** As released clients do it: on what they read a while ago. */
async function setStatus(db: bus.Queryable, key: bus.CommandKey, status: Move): Promise<void> {
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
