import type { BigintInput } from './commands.ts'
import { type Queryable, query, queryValue, toJson } from './query.ts'

/** A message as PGMQ hands it out; `msgId` is a bigint as text. */
export interface QueueMessage {
  readonly msgId: string
  readonly readCount: number
  readonly enqueuedAt: Date
  /** Until when nobody else sees it. */
  readonly visibleAt: Date
  readonly message: unknown
}

/** The queue that a domain's commands go through. */
export function commandQueue(domain: string): string {
  return `${domain}__commands`
}

/** The queue that a domain's replies come back through. */
export function replyQueue(domain: string): string {
  return `${domain}__replies`
}

/** The channel on which workers of a queue are woken; PGMQ knows queues in lower case only. */
export function notifyChannel(queue: string): string {
  return `pgmq_notify_${queue.toLowerCase()}`
}

/** Creates a queue with its archive, if it is not there yet. */
export async function createQueue(db: Queryable, queue: string): Promise<void> {
  await query(db, 'select pgmq.create($1::text)', [queue])
}

/** Sends a message, visible after `delaySeconds`; its id. Workers wake on `notify`, not by this. */
export function send(
  db: Queryable,
  queue: string,
  message: unknown,
  delaySeconds = 0,
): Promise<string> {
  return queryValue<string>(
    db,
    'select sent::text as value from pgmq.send($1::text, $2::jsonb, $3::int) as sent',
    [queue, toJson(message), delaySeconds],
  )
}

/** Sends messages in one statement; their ids, in the same order. */
export async function sendBatch(
  db: Queryable,
  queue: string,
  messages: readonly unknown[],
  delaySeconds = 0,
): Promise<string[]> {
  if (messages.length === 0) return []
  const rows = await query<{ msgId: string }>(
    db,
    `select sent::text as "msgId"
       from pgmq.send_batch($1::text, $2::jsonb[], $3::int) as sent
      order by sent`,
    [queue, messages.map(toJson), delaySeconds],
  )
  return rows.map((row) => row.msgId)
}

/** Wakes the queue's workers when the surrounding transaction commits. */
export async function notify(db: Queryable, queue: string): Promise<void> {
  await query(db, `select pg_catalog.pg_notify($1::text, '')`, [notifyChannel(queue)])
}

/** Takes up to `quantity` messages, hidden from others for `visibilityTimeoutSeconds`. */
export function read(
  db: Queryable,
  queue: string,
  visibilityTimeoutSeconds: number,
  quantity = 1,
): Promise<QueueMessage[]> {
  return query<QueueMessage>(
    db,
    `select msg_id::text as "msgId", read_ct as "readCount", enqueued_at as "enqueuedAt",
            vt as "visibleAt", message
       from pgmq.read($1::text, $2::int, $3::int)`,
    [queue, visibilityTimeoutSeconds, quantity],
  )
}

/** Removes a message for good; false when it is not there. */
export function deleteMessage(db: Queryable, queue: string, msgId: BigintInput): Promise<boolean> {
  return queryValue<boolean>(db, 'select pgmq.delete($1::text, $2::bigint) as value', [
    queue,
    msgId.toString(),
  ])
}

/** Moves a message to the queue's archive; false when it is not there. */
export function archiveMessage(db: Queryable, queue: string, msgId: BigintInput): Promise<boolean> {
  return queryValue<boolean>(db, 'select pgmq.archive($1::text, $2::bigint) as value', [
    queue,
    msgId.toString(),
  ])
}

/** Hides a message for so many seconds from now (0: visible at once); false when it is not there. */
export async function setVisibilityTimeout(
  db: Queryable,
  queue: string,
  msgId: BigintInput,
  seconds: number,
): Promise<boolean> {
  const rows = await query(db, 'select from pgmq.set_vt($1::text, $2::bigint, $3::int)', [
    queue,
    msgId.toString(),
    seconds,
  ])
  return rows.length > 0
}

/** The newest archived message that carries this command's id: what an operator's retry sends. */
export async function findArchivedMessage(
  db: Queryable,
  queue: string,
  commandId: string,
): Promise<unknown> {
  const archive = `"a_${queue.toLowerCase().replaceAll('"', '""')}"`
  const rows = await query<{ message: unknown }>(
    db,
    `select message
       from pgmq.${archive}
      where message ->> 'command_id' = $1::text
      order by msg_id desc
      limit 1`,
    [commandId],
  )
  return rows[0]?.message ?? null
}
