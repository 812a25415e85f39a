import { Type } from 'typebox'
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
  { $id: 'ResetRequest', additionalProperties: false },
)

const Blocker = Type.Object(
  {
    pid: Type.Union([Type.Integer(), Type.Null()]),
    gid: Type.Union([Type.String(), Type.Null()]),
    application: Type.Union([Type.String(), Type.Null()]),
    state: Type.Union([Type.String(), Type.Null()]),
    ageMs: Type.Union([Type.Number(), Type.Null()]),
    query: Type.Union([Type.String(), Type.Null()]),
    mayNotEnd: Type.Boolean(),
  },
  { $id: 'Blocker', description: 'A transaction that blocked the reset.' },
)

export const ResetReportSchema = Type.Object(
  {
    mode: Type.Enum(['data', 'rebuild']),
    durationMs: Type.Number(),
    tables: Type.Object({ emptied: Names, restored: Names }),
    sequences: Names,
    queues: Type.Object({ emptied: Names, dropped: Names }),
    terminated: Type.Optional(Type.Immutable(Type.Array(Blocker))),
  },
  { $id: 'ResetReport' },
)

export const resetSchema = {
  summary: 'Puts the data back to the baseline, the state after migrating',
  description: 'Exists only with RESET_ENABLED=true. The body is optional.',
  security: [{ resetToken: [] }],
  body: ResetRequestSchema,
  response: {
    200: ResetReportSchema,
    ...problemResponses(
      'body_wrong',
      'token_missing',
      'token_wrong',
      'database_not_disposable',
      'no_baseline',
      'ahead',
      'schema_changed',
      'not_owner',
      'privilege_missing',
      'rows_not_restorable',
      'history_refused',
      'locked',
      'too_many_wrong_tokens',
      'internal_error',
      'migration_failed',
      'not_ready',
      'database_lost',
      'reset_canceled',
      'migration_lock_timeout',
    ),
  },
} as const
