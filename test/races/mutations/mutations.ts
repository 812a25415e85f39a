import type { Kind } from '../generate.ts'

/** A defect to put into the functions: the race test has to find it. */
export interface Mutation {
  readonly name: string
  /** What to replace in functions of the schema commandbus. */
  readonly changes: readonly {
    readonly function: string
    readonly text: RegExp
    readonly by: string
  }[]
  /** The kind of schedules that has to find it; otherwise any. */
  readonly kind?: Kind
}

export const mutations: readonly Mutation[] = [
  {
    name: 'a finish relies on what it read before it had the lock',
    changes: [
      {
        function: 'sp_finish_command',
        text: /and command\.status = v_old\.status\s+and command\.counted_as is not distinct from v_old\.counted_as\s+and command\.finished_as is not distinct from v_old\.finished_as/,
        by: '',
      },
    ],
  },
  {
    name: 'a command forgets what it was counted as',
    changes: [
      {
        function: 'settle_batch',
        text: /set counted_as = v_command\.counted_to/,
        by: 'set counted_as = v_command.counted_from',
      },
    ],
  },
  {
    name: 'a receive waits for the batch',
    changes: [{ function: 'sp_receive_command', text: /p_wait => false/, by: 'p_wait => true' }],
  },
  {
    name: 'every receive starts the batch',
    changes: [{ function: 'lock_pending_batch', text: /and batch\.status = 'PENDING'/g, by: '' }],
  },
  {
    name: 'a repeated finish counts again',
    changes: [
      {
        function: 'sp_finish_command',
        text: /v_old\.status in \('COMPLETED', 'CANCELED', 'FAILED'\)/,
        by: "v_old.status in ('CANCELED', 'FAILED')",
      },
      {
        function: 'sp_finish_command',
        text: /v_from is not distinct from v_to/,
        by: 'v_to is null',
      },
    ],
  },
  {
    name: 'a first finish as the status of its receive stores no error',
    changes: [{ function: 'sp_finish_command', text: /and v_old\.finished_as = p_status/, by: '' }],
  },
  {
    name: 'a batch completes one command too early, and then again',
    changes: [
      {
        function: 'move_batch_counts',
        text: /< v_batch\.total_count\n/,
        by: '< v_batch.total_count - 1\n',
      },
      {
        function: 'move_batch_counts',
        text: /or v_batch\.status in \('COMPLETED', 'COMPLETED_WITH_FAILURES'\)/,
        by: '',
      },
    ],
  },
  {
    name: 'a command in troubleshooting is received',
    changes: [{ function: 'sp_receive_command', text: /, 'IN_TROUBLESHOOTING_QUEUE'\)/, by: ')' }],
  },
  {
    name: 'an operator changes a command that is final',
    changes: [
      {
        function: 'tg_command__keep_final_status',
        text: /begin.*end;/s,
        by: 'begin return NEW; end;',
      },
    ],
  },
  {
    name: 'a counter row reports too late',
    changes: [{ function: 'count_in_rows', text: /total_count \/ 320/, by: 'total_count / 20' }],
    kind: 'refreshes',
  },
  {
    name: 'a finish is only audited although the status has changed meanwhile',
    kind: 'twins',
    changes: [
      {
        function: 'sp_finish_command',
        text: /and command\.status = v_old\.status(\s+and command\.finished_as is not distinct from v_old\.finished_as\s+for no key update)/,
        by: '$1',
      },
    ],
  },
  {
    name: 'a finish is only audited although the command was received meanwhile',
    kind: 'twins',
    changes: [
      {
        function: 'sp_finish_command',
        text: /and command\.finished_as is not distinct from v_old\.finished_as(\s+for no key update)/,
        by: '$1',
      },
    ],
  },
  {
    name: 'two commands take the last place of a counter row',
    kind: 'places',
    changes: [
      {
        function: 'release_place',
        text: /and batch_counter\.completed < batch_counter\.quota\s+returning/,
        by: 'returning',
      },
    ],
  },
  {
    name: 'two inserted commands claim the same count',
    kind: 'copies',
    changes: [
      { function: 'tg_command__mark_inserted', text: /update commandbus\.batch.*?;/s, by: '' },
    ],
  },
  {
    name: 'two commands inserted under repeatable read claim the same count',
    kind: 'copies',
    changes: [
      {
        function: 'tg_command__mark_inserted',
        text: /update commandbus\.batch.*?;/s,
        by: `perform from commandbus.batch
               where batch.domain = NEW.domain and batch.batch_id = NEW.batch_id for no key update;`,
      },
    ],
  },
  {
    name: 'a failure is not counted',
    changes: [
      {
        function: 'count_move',
        text: /when p_to = 'FAILED' then 1/,
        by: "when p_to = 'FAILED' then 0",
      },
    ],
  },
  {
    name: 'a command that failed is finished again',
    changes: [
      {
        function: 'sp_finish_command',
        text: /v_old\.status in \('COMPLETED', 'CANCELED', 'FAILED'\)/,
        by: "v_old.status in ('COMPLETED', 'CANCELED')",
      },
    ],
  },
  {
    name: 'a command in troubleshooting cannot fail',
    changes: [
      {
        function: 'sp_finish_command',
        text: /p_status not in \('COMPLETED', 'CANCELED', 'FAILED'\)/,
        by: "p_status not in ('COMPLETED', 'CANCELED')",
      },
    ],
  },
  {
    name: 'a batch with failures completes as if it had none',
    changes: [
      {
        function: 'move_batch_counts',
        text: /when batch\.canceled_count \+ batch\.failed_count > 0/,
        by: 'when batch.canceled_count > 0',
      },
    ],
  },
  {
    name: 'a refresh adds the counter rows again and again',
    kind: 'refreshes',
    changes: [
      {
        function: 'flush_counter_rows',
        text: /set unreported = 0/,
        by: 'set unreported = batch_counter.unreported',
      },
    ],
  },
  {
    name: 'a refresh locks the batch before the counter rows',
    kind: 'refreshes',
    changes: [
      {
        function: 'flush_counter_rows',
        text: /begin/,
        by: `begin
               perform from commandbus.batch
                 where batch.domain = p_domain and batch.batch_id = p_batch_id
                   for no key update;`,
      },
    ],
  },
  {
    name: 'a refresh counts processes before it has the lock',
    kind: 'processes',
    changes: [{ function: 'count_processes', text: /for no key update;/, by: ';' }],
  },
  {
    name: 'a receive starts a batch of processes',
    kind: 'processes',
    changes: [
      { function: 'lock_pending_batch', text: /and batch\.batch_type = 'COMMAND'/g, by: '' },
      { function: 'sp_receive_command', text: /and batch\.batch_type = 'COMMAND'/, by: '' },
    ],
  },
  {
    name: 'an operator counts a command for a batch of processes',
    kind: 'processes',
    changes: [
      { function: 'settle_batch', text: /and batch\.batch_type = 'COMMAND'/, by: '' },
      { function: 'move_batch_counts', text: /and batch\.batch_type = 'COMMAND'/, by: '' },
    ],
  },
]
