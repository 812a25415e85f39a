import { type Static, Type } from 'typebox'
import { NOT_READY_REASONS } from '../../readiness.ts'
import { Nullable } from './nullable.ts'
import { EXAMPLE_STATUS } from './status-example.ts'

const Names = Type.Immutable(Type.Array(Type.String()))

const Migration = Type.Object({
  filename: Type.String({ description: 'The full name of the file that the service has now.' }),
  name: Nullable(Type.String({ description: 'The slug in the name of the file.' })),
  message: Nullable(Type.String()),
  hash: Type.String(),
})

const AppliedMigration = Type.Object({
  ...Migration.properties,
  appliedAt: Type.String({ format: 'date-time' }),
})

const Pgmq = Type.Object({
  version: Nullable(Type.String({ description: 'Null if PGMQ was installed as plain SQL.' })),
  installedAs: Type.Enum(['extension', 'sql']),
  messageColumns: Type.Immutable(
    Type.Array(Type.String(), { description: "The columns of pgmq.read's rows, in their order." }),
  ),
})

const Database = Type.Object({
  kind: Type.Enum(['given', 'embedded'], { description: '`given` by DATABASE_URL.' }),
  host: Type.String(),
  port: Type.Integer(),
  name: Type.String(),
  serverVersion: Nullable(Type.String()),
  pgmq: Nullable(Pgmq, 'Null if PGMQ is missing.'),
})

const Differences = Type.Immutable(
  Type.Array(
    Type.Object({
      kind: Type.String({ description: 'Such as table, column or function.' }),
      name: Type.String(),
      change: Type.Enum(['added', 'changed', 'dropped', 'renamed']),
      detail: Type.String({ description: 'What it is now, and what the migrations made.' }),
    }),
  ),
)

const CurrentFailure = Type.Object(
  {
    message: Type.String(),
    file: Type.Optional(Type.String({ description: 'Relative to the migrations folder.' })),
    line: Type.Optional(Type.Integer()),
  },
  { description: 'Why the development loop could not apply it when it was last saved.' },
)

const Drift = Type.Object(
  {
    checkedAt: Nullable(
      Type.String({
        format: 'date-time',
        description: 'The last comparison; null before the first.',
      }),
    ),
    inSync: Nullable(Type.Boolean(), 'Null where it cannot be known.'),
    reason: Type.Optional(Type.String({ description: 'Why it cannot be known.' })),
    differences: Differences,
  },
  { description: 'How the schema differs from what the migrations made.' },
)

const Reset = Type.Object({
  enabled: Type.Boolean({ description: 'RESET_ENABLED' }),
  allowedHere: Type.Boolean({ description: 'The database is marked disposable.' }),
  count: Type.Integer({ description: 'Resets since the service started.' }),
  lastAt: Nullable(Type.String({ format: 'date-time' })),
  lastDurationMs: Nullable(Type.Number()),
})

const TestDatabases = Type.Object({
  max: Type.Integer({ description: 'TEST_DATABASES_MAX' }),
  lent: Type.Integer(),
  ready: Type.Integer({ description: 'Can be lent at once.' }),
})

export const StatusSchema = Type.Object(
  {
    service: Type.Object({
      name: Type.String(),
      version: Type.String(),
      startedAt: Type.String({ format: 'date-time' }),
      uptimeSeconds: Type.Integer(),
    }),
    state: Type.Enum(['ready', ...NOT_READY_REASONS]),
    detail: Nullable(Type.String(), 'Null if there is nothing to add.'),
    database: Nullable(Database, 'Null until the embedded server has started.'),
    migrations: Type.Object({
      applied: Type.Immutable(Type.Array(AppliedMigration)),
      pending: Type.Immutable(Type.Array(Migration)),
      current: Type.Object({
        empty: Type.Boolean({
          description:
            'False while `current.sql` has statements: an uncommitted migration, which the service never runs.',
        }),
        changes: Type.Optional(Differences),
        failure: Type.Optional(CurrentFailure),
      }),
    }),
    schemas: Type.Record(Type.String(), Type.Object({ tables: Names, functions: Names }), {
      description:
        'Without those of PostgreSQL, of extensions, of graphile-migrate and of the service. `public` appears ' +
        'if it has objects. Overloaded functions are listed once.',
    }),
    drift: Drift,
    reset: Reset,
    testDatabases: Nullable(TestDatabases),
  },
  { $id: 'Status', description: 'What is known now.', examples: [EXAMPLE_STATUS] },
)

/** The details of the service and its database; no password, token or connection string. */
export type Status = Static<typeof StatusSchema>

export const statusSchema = {
  tags: ['Status'],
  summary: 'Details of the service and its database, for people',
  description: 'Answers in every state; without a database, with the last known facts.',
  response: { 200: StatusSchema },
} as const
