/** A defect put into the procedures on purpose: the race test has to find each of them. */
export interface Mutation {
  readonly name: string
  /** Texts of a function in schema commandbus, and what stands in their place. */
  readonly changes: readonly {
    readonly function: string
    readonly text: RegExp
    readonly by: string
  }[]
  /** Shows in large batches only. */
  readonly isLarge?: boolean
}

export const mutations: readonly Mutation[] = [
  {
    name: 'a finish goes by what it read before it had the lock',
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
    name: 'a batch is started by everybody',
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
    name: 'a batch completes one too early, and then again',
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
    isLarge: true,
  },
]
