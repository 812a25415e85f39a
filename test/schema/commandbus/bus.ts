import { randomUUID } from 'node:crypto'
import type { Pool, PoolClient, QueryResult } from 'pg'

type Queryable = Pick<PoolClient, 'query'>

export interface Counts {
  readonly status: string
  readonly completed: number
  readonly canceled: number
  readonly failed: number
  readonly troubled: number
}

export interface NewBatch {
  readonly total: number
  readonly status?: string
  readonly type?: 'COMMAND' | 'PROCESS'
}

export interface NewCommand {
  readonly batchId?: string
  readonly status?: string
  readonly correlationId?: string
}

/** What a client does in one domain, on one connection or on any of a pool. */
export type Bus = ReturnType<typeof createBus>

export function createBus(db: Queryable, domain = `domain_${randomUUID()}`) {
  async function value<T>(sql: string, values: readonly unknown[]): Promise<T> {
    const { rows } = await db.query({ text: sql, values: [...values], rowMode: 'array' })
    return rows[0]?.[0] as T
  }

  return {
    domain,
    /** The same domain, seen by another session. */
    on: (other: Queryable) => createBus(other, domain),

    async batch(given: NewBatch): Promise<string> {
      const id = randomUUID()
      await db.query(
        `insert into commandbus.batch (domain, batch_id, total_count, status, batch_type)
         values ($1, $2, $3, $4, $5)`,
        [domain, id, given.total, given.status ?? 'PENDING', given.type ?? 'COMMAND'],
      )
      return id
    },

    async commands(number: number, given: NewCommand = {}): Promise<string[]> {
      const { rows } = await db.query<{ command_id: string }>(
        `insert into commandbus.command
           (domain, queue_name, command_id, command_type, status, max_attempts, msg_id, batch_id,
            correlation_id)
         select $1, $1 || '__commands', gen_random_uuid(), 'Pay', $2, 3, 7, $3, $5
           from generate_series(1, $4::int)
         returning command_id`,
        [
          domain,
          given.status ?? 'PENDING',
          given.batchId ?? null,
          number,
          given.correlationId ?? null,
        ],
      )
      return rows.map((row) => row.command_id)
    },

    async command(given: NewCommand = {}): Promise<string> {
      const [id] = await this.commands(1, given)
      return id as string
    },

    /** A batch of `total`, of which one command is in troubleshooting. */
    async troubledBatch(total: number): Promise<{ batchId: string; id: string }> {
      const batchId = await this.batch({ total })
      const id = await this.command({ batchId })
      await this.finish(id, 'IN_TROUBLESHOOTING_QUEUE')
      return { batchId, id }
    },

    receive(commandId: string): Promise<QueryResult<Record<string, unknown>>> {
      return db.query('select * from commandbus.sp_receive_command($1, $2)', [domain, commandId])
    },

    async receiveAs(commandId: string, status: string): Promise<void> {
      await db.query('select commandbus.sp_receive_command($1, $2, $3)', [
        domain,
        commandId,
        status,
      ])
    },

    finish(commandId: string, status: string, errorCode: string | null = null): Promise<boolean> {
      return value('select commandbus.sp_finish_command($1, $2, $3, $4, null, $5)', [
        domain,
        commandId,
        status,
        `FINISHED_${status}`,
        errorCode,
      ])
    },

    fail(commandId: string): Promise<boolean> {
      return value(
        `select commandbus.sp_fail_command($1, $2, 'Timeout', 'T1', 'no answer', 1, 3, 7)`,
        [domain, commandId],
      )
    },

    startBatch(batchId: string): Promise<boolean> {
      return value('select commandbus.sp_start_batch($1, $2)', [domain, batchId])
    },

    updateCounters(batchId: string | null, type: string): Promise<boolean> {
      return value('select commandbus.sp_update_batch_counters($1, $2, $3)', [
        domain,
        batchId,
        type,
      ])
    },

    /** What an operator's client does itself, before it calls sp_tsq_*. */
    async set(commandId: string, status: string): Promise<void> {
      await db.query(
        'update commandbus.command set status = $3 where domain = $1 and command_id = $2',
        [domain, commandId, status],
      )
    },

    settle(batchId: string | null, move: 'complete' | 'cancel' | 'retry'): Promise<boolean> {
      return value(`select commandbus.sp_tsq_${move}($1, $2)`, [domain, batchId])
    },

    /** The one row of sp_refresh_batch_stats, by name; undefined if there is none. */
    async refresh(batchId: string | null): Promise<Record<string, unknown> | undefined> {
      const { rows } = await db.query<Record<string, unknown>>(
        'select * from commandbus.sp_refresh_batch_stats($1, $2)',
        [domain, batchId],
      )
      return rows[0]
    },

    async process(given: { batchId?: string; status?: string } = {}): Promise<string> {
      const id = randomUUID()
      await db.query(
        `insert into commandbus.process (domain, process_id, process_type, status, batch_id)
         values ($1, $2, 'Ship', $3, $4)`,
        [domain, id, given.status ?? 'PENDING', given.batchId ?? null],
      )
      return id
    },

    async setProcess(processId: string, status: string): Promise<void> {
      await db.query(
        'update commandbus.process set status = $3 where domain = $1 and process_id = $2',
        [domain, processId, status],
      )
    },

    status(commandId: string): Promise<string> {
      return value('select status from commandbus.command where domain = $1 and command_id = $2', [
        domain,
        commandId,
      ])
    },

    mark(commandId: string): Promise<string | null> {
      return value(
        'select counted_as from commandbus.command where domain = $1 and command_id = $2',
        [domain, commandId],
      )
    },

    /** The batch's own row. */
    async counts(batchId: string): Promise<Counts | undefined> {
      const { rows } = await db.query<Counts>(countsOf('commandbus.batch'), [domain, batchId])
      return rows[0]
    },

    async exactCounts(batchId: string): Promise<Counts | undefined> {
      const { rows } = await db.query<Counts>(countsOf('commandbus.batch_progress'), [
        domain,
        batchId,
      ])
      return rows[0]
    },

    /** The audit trail of a command or a batch, oldest first. */
    async events(id: string): Promise<string[]> {
      const { rows } = await db.query<{ event_type: string }>(
        'select event_type from commandbus.audit where domain = $1 and command_id = $2 order by audit_id',
        [domain, id],
      )
      return rows.map((row) => row.event_type)
    },

    details(id: string, event: string): Promise<Record<string, unknown> | null> {
      return value(
        'select details_json from commandbus.audit where domain = $1 and command_id = $2 and event_type = $3',
        [domain, id, event],
      )
    },
  }
}

function countsOf(relation: string): string {
  return `select status, completed_count as completed, canceled_count as canceled,
                 failed_count as failed, in_troubleshooting_count as troubled
            from ${relation} where domain = $1 and batch_id = $2`
}

/** Whether no session has locked the batch's row. */
export async function isBatchFree(pool: Pool, batchId: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    'select from commandbus.batch where batch_id = $1 for update skip locked',
    [batchId],
  )
  return rowCount === 1
}

/** Whether no session has locked this counter row of a large batch. */
export async function isCounterFree(
  pool: Pool,
  batchId: string,
  counterNo: number,
): Promise<boolean> {
  const { rowCount } = await pool.query(
    `select from commandbus.batch_counter
      where batch_id = $1 and counter_no = $2 for update skip locked`,
    [batchId, counterNo],
  )
  return rowCount === 1
}

/** The SQLSTATE with which the work fails, or undefined if it succeeds. */
export async function sqlstateOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return (error as { readonly code?: string }).code
  }
}
