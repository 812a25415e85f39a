import { Type } from 'typebox'
import { BlockerSchema } from './blocker.ts'
import { problemResponses } from './problem.ts'

const Names = Type.Immutable(Type.Array(Type.String()))

export const RESET_DEFAULTS = {
  mode: 'data',
  lockTimeoutMs: 2000,
  terminateBlockers: false,
} as const

const { mode, lockTimeoutMs, terminateBlockers } = RESET_DEFAULTS

export const ResetRequestSchema = Type.Object(
  {
    mode: Type.Optional(
      Type.Enum(['data', 'rebuild'], {
        default: mode,
        description:
          '`data` puts the data back to the baseline; `rebuild` drops everything and migrates again.',
      }),
    ),
    lockTimeoutMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 600_000,
        default: lockTimeoutMs,
        description: 'How long to wait for transactions that block the reset.',
      }),
    ),
    terminateBlockers: Type.Optional(
      Type.Boolean({
        default: terminateBlockers,
        description: 'Terminate the transactions that still block the reset after that.',
      }),
    ),
  },
  {
    $id: 'ResetRequest',
    additionalProperties: false,
    examples: [RESET_DEFAULTS],
  },
)

export const ResetReportSchema = Type.Object(
  {
    mode: Type.Enum(['data', 'rebuild']),
    durationMs: Type.Number(),
    tables: Type.Object(
      { emptied: Names, restored: Names },
      {
        description: 'Without those of queues. A rebuild lists nothing, since it drops everything.',
      },
    ),
    sequences: Names,
    queues: Type.Object({ emptied: Names, dropped: Names }),
    partitions: Type.Object({ dropped: Names }),
    terminated: Type.Optional(
      Type.Immutable(
        Type.Array(BlockerSchema, {
          description: 'Only with `terminateBlockers`: the transactions that were ended.',
        }),
      ),
    ),
  },
  {
    $id: 'ResetReport',
    description: 'What the reset changed.',
    examples: [
      {
        mode: 'data',
        durationMs: 2.31,
        tables: { emptied: ['shop.orders'], restored: ['shop.colours'] },
        sequences: ['shop.orders_id_seq'],
        queues: { emptied: ['payments'], dropped: ['made_by_a_test'] },
        partitions: { dropped: [] },
      },
    ],
  },
)

/** What a request can answer besides that runs the migrations. */
export const MIGRATING = [
  'wrong_settings',
  'no_migrations',
  'no_migrations_folder',
  'migration_failed',
  'seed_failed',
  'action_failed',
  'transaction_control',
  'lock_timeout',
  'migration_unfinished',
  'migration_not_applied',
] as const

export const resetSchema = {
  tags: ['Reset'],
  summary: 'Puts the data back to the baseline, the state after migrating',
  description:
    'Exists only with `RESET_ENABLED=true`, and only does anything on a database that is marked disposable. ' +
    'The body is optional, and read as JSON whatever its content type is. Resets run one after another; the ' +
    'report covers a reset that started after this call.',
  security: [{ resetToken: [] }],
  body: ResetRequestSchema,
  response: {
    200: ResetReportSchema,
    ...problemResponses(
      'body_wrong',
      'route_not_found',
      'token_missing',
      'token_wrong',
      'database_not_disposable',
      'no_baseline',
      'ahead',
      'schema_changed',
      'ignored_objects_depend',
      'not_owner',
      'privilege_missing',
      'rows_not_restorable',
      'reset_schema_taken',
      'history_refused',
      'locked',
      'too_many_wrong_tokens',
      'internal_error',
      ...MIGRATING,
      'not_ready',
      'database_lost',
      'database_not_reached',
      'database_read_only',
      'out_of_resources',
      'reset_canceled',
      'migration_lock_timeout',
    ),
  },
} as const
