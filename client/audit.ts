import type { CommandKey } from './commands.ts'
import { type Camel, type Queryable, query, toJson } from './query.ts'
import type { AuditInsert, AuditRow } from './schema/commandbus.ts'

/** The events that the bus itself writes; a client may add its own. */
export type AuditEventType =
  | 'SENT'
  | 'RECEIVED'
  | 'COMPLETED'
  | 'FAILED'
  | 'BUSINESS_RULE_FAILED'
  | 'RETRY_SCHEDULED'
  | 'RETRY_EXHAUSTED'
  | 'MOVED_TO_TSQ'
  | 'OPERATOR_RETRY'
  | 'OPERATOR_CANCEL'
  | 'OPERATOR_COMPLETE'
  | 'BATCH_STARTED'
  | 'BATCH_COMPLETED'
  | (string & {})

/** An event to append; for a batch's events the batch's id stands in `commandId`. */
export interface NewAuditEvent extends CommandKey {
  readonly eventType: AuditEventType
  readonly details?: unknown
}

/** An event of the audit trail; `auditId` is a bigint as text, in the order of writing. */
export type AuditEvent = Camel<Pick<AuditRow, 'audit_id' | 'domain' | 'command_id' | 'ts'>> & {
  readonly eventType: AuditEventType
  readonly details: AuditRow['details_json']
}

/** Appends events, in one statement. The functions audit what they do themselves. */
export async function insertAuditEvents(
  db: Queryable,
  events: readonly NewAuditEvent[],
): Promise<void> {
  const rows: AuditInsert[] = events.map((event) => ({
    domain: event.domain,
    command_id: event.commandId,
    event_type: event.eventType,
    details_json: event.details ?? null,
  }))
  await query(
    db,
    `insert into commandbus.audit (domain, command_id, event_type, details_json)
     select domain, command_id, event_type, details_json
       from pg_catalog.jsonb_to_recordset($1::jsonb) as row
            (domain text, command_id uuid, event_type text, details_json jsonb)`,
    [toJson(rows)],
  )
}

/** What happened to a command (or, by its id, to a batch), oldest first. */
export function listAuditEvents(db: Queryable, key: CommandKey): Promise<AuditEvent[]> {
  return query<AuditEvent>(
    db,
    `select audit_id::text as "auditId", domain, command_id as "commandId",
            event_type as "eventType", ts, details_json as details
       from commandbus.audit
      where domain = $1::text and command_id = $2::uuid
      order by ts, audit_id`,
    [key.domain, key.commandId],
  )
}
