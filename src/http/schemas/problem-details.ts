// What the description says of each problem besides its meaning, which is in src/errors/codes.ts.
import { type TSchema, Type } from 'typebox'
import type { ErrorCode } from '../../errors/codes.ts'
import { NOT_READY_REASONS } from '../../readiness.ts'
import { BlockerSchema, EXAMPLE_BLOCKER } from './blocker.ts'
import { EXAMPLE_LEASE, LeaseSchema } from './lease.ts'

export interface ProblemDetails {
  /** A `detail` as the service words it. */
  readonly detail: string
  /** Further members, each with an example. */
  readonly members?: Readonly<Record<string, Member>>
  readonly headers?: Readonly<Record<string, TSchema>>
}

export interface Member {
  readonly schema: TSchema
  readonly example: unknown
  /** Absent where it is not known. Default: always present. */
  readonly isOptional?: true
}

const text = (example: string, description?: string): Member => ({
  schema: Type.String(description === undefined ? {} : { description }),
  example,
})
const optional = (member: Member): Member => ({ ...member, isOptional: true })

const remedy: Member = {
  schema: Type.Literal('rebuild', { description: 'The `mode` of a reset that helps.' }),
  example: 'rebuild',
}

const postgres = {
  sqlstate: optional(text('42703')),
  postgresMessage: optional(text('column "colour" does not exist')),
  hint: optional(text('Perhaps you meant to reference the column "orders.color".')),
}

/** Where in the migrations an error is, and what PostgreSQL says about it. */
const failure = {
  migration: optional(text('000003-colours.sql')),
  line: optional({ schema: Type.Integer(), example: 12 }),
  text: optional(text('alter table orders drop column colour;', 'The line.')),
  ...postgres,
  postgresDetail: optional(text('The table has other columns.')),
  context: optional(text('PL/pgSQL function inline_code_block line 3 at SQL statement')),
}

const blockers: Member = { schema: Type.Array(BlockerSchema), example: [EXAMPLE_BLOCKER] }

export const PROBLEM_DETAILS: Partial<Record<ErrorCode, ProblemDetails>> = {
  bad_request: { detail: "'/%zz' is not a valid url component" },
  request_timeout: { detail: 'the request did not arrive in time' },
  expectation_failed: { detail: 'the only known Expect is 100-continue' },
  host_not_allowed: {
    detail:
      'this service does not answer as rebind.example; ALLOWED_HOSTS lists the names that it answers to',
  },
  headers_too_large: { detail: 'the headers are too large; expected 16 KiB at most' },
  internal_error: { detail: 'unforeseen error, see the log of the service' },
  route_not_found: { detail: 'there is no /nowhere here' },
  method_not_allowed: {
    detail: '/livez accepts GET, HEAD, not POST',
    headers: { Allow: Type.String({ description: 'The methods that the path accepts.' }) },
  },
  token_missing: {
    detail: 'expected the header Authorization: Bearer RESET_TOKEN',
    headers: { 'WWW-Authenticate': Type.Literal('Bearer') },
  },
  token_wrong: { detail: 'the token is not the RESET_TOKEN of this service' },
  too_many_wrong_tokens: {
    detail: 'too many wrong tokens from this address; send the RESET_TOKEN, or wait 42 s',
    headers: {
      'Retry-After': Type.Integer({
        minimum: 1,
        maximum: 60,
        description: 'How many seconds to wait before another wrong token is read.',
      }),
    },
  },
  body_wrong: { detail: 'the body is wrong: mode must be data or rebuild, found "all"' },
  not_ready: {
    detail: 'the service is not ready (migrating): applying 000002-orders.sql, 2 of 2',
    members: { reason: { schema: Type.Enum(NOT_READY_REASONS), example: 'migrating' } },
  },
  database_not_disposable: { detail: 'the database orders at db:5432 is not marked disposable' },
  no_baseline: {
    detail: 'there is no baseline, the state after the last migration',
    members: { remedy },
  },
  schema_changed: {
    detail: 'the schema is no longer what the migrations made (table shop.orders changed)',
    members: {
      remedy,
      differences: {
        schema: Type.Array(
          Type.Object({
            change: Type.Enum(['added', 'changed', 'taken away']),
            kind: Type.String(),
            name: Type.String(),
          }),
          { maxItems: 100 },
        ),
        example: [{ change: 'changed', kind: 'table', name: 'shop.orders' }],
      },
    },
  },
  rows_not_restorable: {
    detail: 'PostgreSQL rejects the rows that the migrations inserted',
    members: { remedy },
  },
  not_owner: {
    detail: 'the user of DATABASE_URL may not reset shop.orders: make this user their owner',
    members: {
      relations: { schema: Type.Array(Type.String()), example: ['shop.orders'] },
    },
  },
  ignored_objects_depend: {
    detail:
      'schemas that a reset leaves alone depend on what the migrations made: view worker.names (depends on table shop.orders)',
    members: {
      objects: {
        schema: Type.Array(Type.String(), { maxItems: 100 }),
        example: ['view worker.names (depends on table shop.orders)'],
      },
    },
  },
  ahead: {
    detail:
      'the database is ahead by 000003, so resets are off; deploy the version that has these migrations',
  },
  reset_schema_taken: {
    detail:
      'a reset needs the schema provisioning for itself, and it holds objects that this service did not make',
    members: {
      objects: { schema: Type.Array(Type.String()), example: ['provisioning.orders'] },
    },
  },
  no_database_free: {
    detail: 'no test database became free within 30000 ms: all 4 are lent (TEST_DATABASES_MAX)',
    members: {
      lent: {
        schema: Type.Array(LeaseSchema),
        example: [{ ...EXAMPLE_LEASE, connections: 2 }],
      },
      retryAfterSeconds: { schema: Type.Integer({ minimum: 1, maximum: 60 }), example: 42 },
    },
    headers: { 'Retry-After': Type.Integer({ description: 'How many seconds to wait.' }) },
  },
  lease_not_found: {
    detail: 'no test database is lent as 4711: it was returned, or its time ran out',
  },
  locked: {
    detail: 'an open transaction blocks the reset after 2000 ms: pid 4711',
    members: {
      blockers,
      terminated: { ...blockers, example: [] },
    },
  },
  reset_canceled: {
    detail: 'another session canceled the reset in the database, which rolled it back; try again',
  },
  wrong_settings: {
    detail: '.gmrc: given text that is not JSON5, expected a JSON5 object',
    members: {
      problems: {
        schema: Type.Array(
          Type.Object({ name: Type.String(), given: Type.String(), expected: Type.String() }),
        ),
        example: [{ name: '.gmrc', given: 'text that is not JSON5', expected: 'a JSON5 object' }],
      },
    },
  },
  history_refused: {
    detail: 'the migrations were rejected and nothing was run: 000002-orders.sql was changed',
    members: {
      problems: {
        schema: Type.Array(Type.Object({ filename: Type.String(), problem: Type.String() })),
        example: [{ filename: '000002-orders.sql', problem: 'was changed' }],
      },
    },
  },
  no_migrations: { detail: 'migrations/committed holds no committed migration' },
  no_migrations_folder: { detail: 'migrations/committed cannot be read (ENOENT)' },
  migration_failed: { detail: 'migration 000003-colours.sql failed', members: failure },
  privilege_missing: {
    detail: 'migration 000003-colours.sql failed: permission denied for schema shop (42501)',
    members: failure,
  },
  action_failed: {
    detail: 'afterAllMigrations: grants.sql failed',
    members: {
      hook: text('afterAllMigrations'),
      file: text('grants.sql'),
      line: failure.line,
      text: failure.text,
      ...postgres,
      postgresDetail: failure.postgresDetail,
      context: failure.context,
    },
  },
  seed_failed: {
    detail: 'seed 10-orders.sql failed',
    members: {
      seed: text('10-orders.sql'),
      line: failure.line,
      text: failure.text,
      ...postgres,
      postgresDetail: failure.postgresDetail,
      context: failure.context,
    },
  },
  transaction_control: {
    detail: 'migration 000003-colours.sql was refused: nothing of the file was run',
    members: {
      migration: { ...text('000003-colours.sql'), isOptional: true },
      seed: { ...text('10-orders.sql'), isOptional: true },
      line: failure.line,
      text: failure.text,
      statement: text('commit'),
      hint: postgres.hint,
    },
  },
  lock_timeout: {
    detail: 'migration 000003-colours.sql failed; it was tried for 300 s (LOCK_RETRY_SECONDS)',
    members: {
      ...failure,
      blockers: {
        schema: Type.Array(Type.Omit(BlockerSchema, ['query', 'mayNotEnd'])),
        example: [{ pid: 4711, gid: null, application: 'worker', state: 'active', ageMs: 301_000 }],
      },
    },
  },
  migration_unfinished: {
    detail: 'a migration that runs outside a transaction left something unfinished',
    members: {
      unfinished: { schema: Type.Array(Type.String()), example: ['shop.orders_colour_idx'] },
      repair: {
        schema: Type.Array(Type.String()),
        example: ['drop index shop.orders_colour_idx;'],
      },
    },
  },
  migration_not_applied: {
    detail: 'the migration tool reported success, but did not apply 000003-colours.sql',
  },
  migration_lock_timeout: {
    detail: 'could not acquire the migration lock within 600 s: pid 4711 holds it',
  },
  database_lost: { detail: 'the connection to the database was lost during the reset; try again' },
  database_not_reached: {
    detail: 'the database accepted no connection within 2 s: too many clients already',
  },
  database_read_only: {
    detail: 'the database is a standby, so the rebuild was refused and nothing was dropped',
  },
  out_of_resources: {
    detail: 'the database ran out of resources during the reset: disk full (53100)',
    members: {
      sqlstate: text('53100'),
      postgresMessage: text('could not extend file: No space left on device'),
      hint: optional(text('Check free disk space.')),
    },
  },
}
