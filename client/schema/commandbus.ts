// Made by npm run db:schema, with kanel. Change the migrations, not this.

export interface AdoptionReportInsert {
  finding_id?: string;
  found_at?: Date;
  finding: string;
  details: unknown;
}

/** What adoption found in an existing command bus and changed; empty in a new database. */
export interface AdoptionReportRow {
  /** Counts up. */
  finding_id: string;
  /** When the database was adopted. */
  found_at: Date;
  /** What was found, and what was changed. */
  finding: string;
  /** The rows concerned, with values before and after. */
  details: unknown;
}

export interface AuditInsert {
  audit_id?: string;
  domain: string;
  command_id: string;
  event_type: string;
  ts?: Date;
  details_json?: unknown | null;
}

/** What happened to each command and batch. Append-only, except in tests. */
export interface AuditRow {
  /** Counts up. */
  audit_id: string;
  /** The domain of the command or batch. */
  domain: string;
  /** The command; for batch events, the batch's id. */
  command_id: string;
  /** SENT, RECEIVED, and so on; clients add their own. */
  event_type: string;
  /** When the transaction began. */
  ts: Date;
  /** Details, depending on the event type. */
  details_json: unknown | null;
}

export interface BatchCounterInsert {
  domain: string;
  batch_id: string;
  counter_no: number;
  quota: number;
  completed?: number;
  unreported?: number;
}

/** Counts the completed commands of a large batch in 16 rows, so that workers do not wait for each other. */
export interface BatchCounterRow {
  /** The batch's domain. */
  domain: string;
  /** The batch. */
  batch_id: string;
  /** This row counts the commands for which commandbus.counter_no(command_id) returns this number. */
  counter_no: number;
  /** How many commands this row counts; the batch's own row counts the rest. */
  quota: number;
  /** How many of them it has counted so far. */
  completed: number;
  /** How many of those it has yet to add to the batch's own row. */
  unreported: number;
}

export interface BatchInsert {
  domain: string;
  batch_id: string;
  name?: string | null;
  custom_data?: unknown | null;
  status?: 'PENDING' | 'IN_PROGRESS' | 'COMPLETED' | 'COMPLETED_WITH_FAILURES';
  total_count?: number;
  completed_count?: number;
  canceled_count?: number;
  in_troubleshooting_count?: number;
  created_at?: Date;
  started_at?: Date | null;
  completed_at?: Date | null;
  failed_count?: number;
  batch_type?: 'COMMAND' | 'PROCESS';
  counter_rows?: number;
}

/** The exact counts of each batch, even of a large one while it runs. */
export interface BatchProgressRow {
  /** The batch's domain. */
  domain: string;
  /** The batch. */
  batch_id: string;
  /** The batch's status. */
  status: string;
  /** How many commands or processes were announced. */
  total_count: number;
  /** How many completed. */
  completed_count: number;
  /** How many were canceled. */
  canceled_count: number;
  /** How many a business rule rejected. */
  failed_count: number;
  /** How many wait for an operator. */
  in_troubleshooting_count: number;
}

/** A group of commands or processes that is tracked as a whole; the client runs a callback when it completes. */
export interface BatchRow {
  /** The domain of its commands or processes. */
  domain: string;
  /** Chosen by the client; unique within the domain. */
  batch_id: string;
  /** A name for people to read. */
  name: string | null;
  /** Belongs to the client; no function reads it. */
  custom_data: unknown | null;
  /** PENDING, IN_PROGRESS, then COMPLETED, or COMPLETED_WITH_FAILURES if any was canceled or failed. */
  status: 'PENDING' | 'IN_PROGRESS' | 'COMPLETED' | 'COMPLETED_WITH_FAILURES';
  /** The number of commands or processes that the client announced; final from the insert. */
  total_count: number;
  /** How many completed. While a large batch runs, this lags; view commandbus.batch_progress is exact. */
  completed_count: number;
  /** How many were canceled; in a PROCESS batch also those that failed. */
  canceled_count: number;
  /** How many wait for an operator in the troubleshooting queue. */
  in_troubleshooting_count: number;
  /** When the client created the batch. */
  created_at: Date;
  /** When the batch became IN_PROGRESS. */
  started_at: Date | null;
  /** When the batch completed. */
  completed_at: Date | null;
  /** How many commands a business rule rejected; always 0 in a PROCESS batch. */
  failed_count: number;
  /** COMMAND: functions count its commands as they finish. PROCESS: sp_refresh_batch_stats() counts its processes. */
  batch_type: 'COMMAND' | 'PROCESS';
  /** The number of its rows in commandbus.batch_counter; 0 if the batch counts in its own row. */
  counter_rows: number;
}

export interface CommandInsert {
  domain: string;
  queue_name: string;
  msg_id?: string | null;
  command_id: string;
  command_type: string;
  status: 'PENDING' | 'IN_PROGRESS' | 'COMPLETED' | 'FAILED' | 'CANCELED' | 'IN_TROUBLESHOOTING_QUEUE';
  attempts?: number;
  max_attempts: number;
  lease_expires_at?: Date | null;
  last_error_type?: string | null;
  last_error_code?: string | null;
  last_error_msg?: string | null;
  created_at?: Date;
  updated_at?: Date;
  reply_queue?: string;
  correlation_id?: string | null;
  batch_id?: string | null;
  counted_as?: 'COMPLETED' | 'CANCELED' | 'FAILED' | 'IN_TROUBLESHOOTING_QUEUE' | 'AS_STATUS' | null;
  finished_as?: string | null;
}

/** The state of each command; the payload travels in the queue's message. */
export interface CommandRow {
  /** The domain that the command is sent to. */
  domain: string;
  /** The queue that carries it. */
  queue_name: string;
  /** Its message in that queue; null if there is none. */
  msg_id: string | null;
  /** Chosen by the client; unique within the domain. */
  command_id: string;
  /** Selects the handler. */
  command_type: string;
  /** PENDING, IN_PROGRESS, IN_TROUBLESHOOTING_QUEUE; or final: COMPLETED, CANCELED, FAILED. */
  status: 'PENDING' | 'IN_PROGRESS' | 'COMPLETED' | 'FAILED' | 'CANCELED' | 'IN_TROUBLESHOOTING_QUEUE';
  /** How often it has been received. */
  attempts: number;
  /** After this many attempts it moves to the troubleshooting queue. */
  max_attempts: number;
  /** Belongs to the client; no function reads it. */
  lease_expires_at: Date | null;
  /** Class of the last error. */
  last_error_type: string | null;
  /** Code of the last error. */
  last_error_code: string | null;
  /** Message of the last error. */
  last_error_msg: string | null;
  /** When it was sent. */
  created_at: Date;
  /** When its state last changed. */
  updated_at: Date;
  /** The queue for the reply; empty if none is wanted. */
  reply_queue: string;
  /** Links request and reply; for a process's command, the process_id. */
  correlation_id: string | null;
  /** Its batch, if it belongs to one. */
  batch_id: string | null;
  /** The status under which the batch's counters include this command; null if they do not. AS_STATUS, on adopted rows only: as what its status says. */
  counted_as: 'COMPLETED' | 'CANCELED' | 'FAILED' | 'IN_TROUBLESHOOTING_QUEUE' | 'AS_STATUS' | null;
  /** PENDING or IN_PROGRESS, if a finish set that since the last receive: a finish with the same status is then a duplicate. */
  finished_as: string | null;
}

export interface PayloadArchiveInsert {
  domain: string;
  command_id: string;
  payload_json: unknown;
  archived_at?: Date;
}

/** Payloads that are kept after their messages are gone. */
export interface PayloadArchiveRow {
  /** The command's domain. */
  domain: string;
  /** The command. */
  command_id: string;
  /** The message as it was sent. */
  payload_json: unknown;
  /** When it was archived. */
  archived_at: Date;
}

export interface ProcessAuditInsert {
  id?: string;
  domain: string;
  process_id: string;
  step_name: string;
  command_id: string;
  command_type: string;
  command_data?: unknown | null;
  sent_at: Date;
  reply_outcome?: string | null;
  reply_data?: unknown | null;
  received_at?: Date | null;
}

/** The commands that each process sent, and the replies. Only the client writes it. */
export interface ProcessAuditRow {
  /** Counts up. */
  id: string;
  /** The domain of the process. */
  domain: string;
  /** The process. */
  process_id: string;
  /** The step of the process. */
  step_name: string;
  /** The command that the step sent. */
  command_id: string;
  /** The command's type. */
  command_type: string;
  /** The command's payload. */
  command_data: unknown | null;
  /** When the command was sent. */
  sent_at: Date;
  /** SUCCESS, FAILED or CANCELED; null until the reply arrives. */
  reply_outcome: string | null;
  /** The reply's content. */
  reply_data: unknown | null;
  /** When the reply arrived. */
  received_at: Date | null;
}

export interface ProcessInsert {
  domain: string;
  process_id: string;
  process_type: string;
  status?: string;
  current_step?: string | null;
  state?: unknown;
  error_code?: string | null;
  error_message?: string | null;
  created_at?: Date;
  updated_at?: Date;
  completed_at?: Date | null;
  batch_id?: string | null;
}

/** State of the client's process manager: one row for each process. Only the client writes it. */
export interface ProcessRow {
  /** The domain of the process. */
  domain: string;
  /** Chosen by the client; the correlation_id of its commands. */
  process_id: string;
  /** Selects the client's process definition. */
  process_type: string;
  /** The client's word: PENDING, WAITING, COMPLETED, COMPENSATING, COMPENSATED, CANCELED or another. */
  status: string;
  /** The step whose reply the process waits for. */
  current_step: string | null;
  /** The client's data. */
  state: unknown;
  /** Code of the error that ended it. */
  error_code: string | null;
  /** Message of that error. */
  error_message: string | null;
  /** When the client created it. */
  created_at: Date;
  /** When the client last changed it. */
  updated_at: Date;
  /** When it ended. */
  completed_at: Date | null;
  /** Its batch of type PROCESS, if it belongs to one. */
  batch_id: string | null;
}

export interface SpFailCommandArguments {
  p_domain: string | null;
  p_command_id: string | null;
  p_error_type: string | null;
  p_error_code: string | null;
  p_error_msg: string | null;
  p_attempt: number | null;
  p_max_attempts: number | null;
  p_msg_id: string | null;
}

/** Records a failure that will be retried. False if the command is unknown, final or in troubleshooting. */
export type SpFailCommandResult = boolean;

export interface SpFinishCommandArguments {
  p_domain: string | null;
  p_command_id: string | null;
  p_status: string | null;
  p_event_type: string | null;
  p_error_type?: string | null;
  p_error_code?: string | null;
  p_error_msg?: string | null;
  p_details?: unknown | null;
  p_batch_id?: string | null;
}

/** Finishes a command and counts it for its batch. True for the call that completed the batch; its caller runs the batch's callback. Raises null_value_not_allowed, invalid_parameter_value. */
export type SpFinishCommandResult = boolean;

export interface SpReceiveCommandArguments {
  p_domain: string | null;
  p_command_id: string | null;
  p_new_status?: string | null;
  p_msg_id?: string | null;
  p_max_attempts?: number | null;
}

/** Takes a command for processing and starts its batch. Returns no row if the command is unknown, final or in troubleshooting. Raises invalid_parameter_value. */
export interface SpReceiveCommandResult {
  domain: string | null;
  command_id: string | null;
  command_type: string | null;
  status: string | null;
  attempts: number | null;
  max_attempts: number | null;
  msg_id: string | null;
  correlation_id: string | null;
  reply_queue: string | null;
  last_error_type: string | null;
  last_error_code: string | null;
  last_error_msg: string | null;
  created_at: Date | null;
  updated_at: Date | null;
  batch_id: string | null;
}

export interface SpRefreshBatchStatsArguments {
  p_domain: string | null;
  p_batch_id: string | null;
}

/** Brings a batch's row up to date and returns its counts: counts the processes of a PROCESS batch, adds the counter rows of a large COMMAND batch. Returns no row for an unknown batch. */
export interface SpRefreshBatchStatsResult {
  completed_count: string | null;
  failed_count: string | null;
  canceled_count: string | null;
  in_troubleshooting_count: string | null;
  is_complete: boolean | null;
}

export interface SpStartBatchArguments {
  p_domain: string | null;
  p_batch_id: string | null;
}

/** Starts a batch of commands. True for the one call that took it from PENDING to IN_PROGRESS. */
export type SpStartBatchResult = boolean;

export interface SpTsqCancelArguments {
  p_domain: string | null;
  p_batch_id: string | null;
}

/** Counts a command that an operator has canceled: its row is CANCELED already, set in the same transaction. True if this completed the batch. */
export type SpTsqCancelResult = boolean;

export interface SpTsqCompleteArguments {
  p_domain: string | null;
  p_batch_id: string | null;
}

/** Counts a command that an operator has completed: its row is COMPLETED already, set in the same transaction. True if this completed the batch. */
export type SpTsqCompleteResult = boolean;

export interface SpTsqRetryArguments {
  p_domain: string | null;
  p_batch_id: string | null;
}

/** Counts a command that an operator has sent again: its row is PENDING already, set in the same transaction. True if this completed the batch. */
export type SpTsqRetryResult = boolean;

export interface SpUpdateBatchCountersArguments {
  p_domain: string | null;
  p_batch_id: string | null;
  p_update_type: string | null;
}

/** Moves a batch's counters by one, within their bounds. True if this completed the batch. Raises invalid_parameter_value. */
export type SpUpdateBatchCountersResult = boolean;

/** The procedures, by name. */
export interface Procedures {
  sp_fail_command: { arguments: SpFailCommandArguments; result: SpFailCommandResult };
  sp_finish_command: { arguments: SpFinishCommandArguments; result: SpFinishCommandResult };
  sp_receive_command: { arguments: SpReceiveCommandArguments; result: SpReceiveCommandResult[] };
  sp_refresh_batch_stats: { arguments: SpRefreshBatchStatsArguments; result: SpRefreshBatchStatsResult[] };
  sp_start_batch: { arguments: SpStartBatchArguments; result: SpStartBatchResult };
  sp_tsq_cancel: { arguments: SpTsqCancelArguments; result: SpTsqCancelResult };
  sp_tsq_complete: { arguments: SpTsqCompleteArguments; result: SpTsqCompleteResult };
  sp_tsq_retry: { arguments: SpTsqRetryArguments; result: SpTsqRetryResult };
  sp_update_batch_counters: { arguments: SpUpdateBatchCountersArguments; result: SpUpdateBatchCountersResult };
}
