import { Type } from 'typebox'
import { EXAMPLE_LEASE, LEASE, LeaseSchema } from './lease.ts'
import { LABEL, MIGRATION_NUMBER } from './patterns.ts'
import { problemResponses } from './problem.ts'
import { MIGRATING } from './reset.ts'

export const LEND_DEFAULTS = { ttlSeconds: 300, waitMs: 30_000 } as const

const ttl = { minimum: 1, maximum: 86_400 } as const

export const LendRequestSchema = Type.Object(
  {
    ttlSeconds: Type.Optional(
      Type.Integer({
        ...ttl,
        default: LEND_DEFAULTS.ttlSeconds,
        description:
          'After this the database is taken back, unless sessions are open in it: then up to ten times later.',
      }),
    ),
    label: Type.Optional(
      Type.String({
        maxLength: 200,
        pattern: LABEL,
        description:
          'Who borrows it, for people: such as the name of a test file and its worker. Without control characters.',
      }),
    ),
    waitMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 600_000,
        default: LEND_DEFAULTS.waitMs,
        description: 'How long to wait for a database that is free.',
      }),
    ),
    through: Type.Optional(
      Type.String({
        pattern: MIGRATION_NUMBER,
        description:
          'The number of the last migration to have, such as `000002`; then without seeds.',
      }),
    ),
  },
  {
    $id: 'LendRequest',
    additionalProperties: false,
    examples: [{ ...LEND_DEFAULTS, label: 'orders.test.ts, worker 3' }],
  },
)

export const ExpiryRequestSchema = Type.Object(
  { ttlSeconds: Type.Integer({ ...ttl, description: 'From now on.' }) },
  {
    $id: 'ExpiryRequest',
    additionalProperties: false,
    examples: [{ ttlSeconds: 600 }],
  },
)

const LentDatabaseSchema = Type.Object(
  {
    ...LEASE,
    url: Type.String({ description: 'With the password; shown only here.' }),
    history: Type.Object({
      last: Type.String({ description: 'The number of the last migration.' }),
      hash: Type.String(),
    }),
  },
  {
    $id: 'LentDatabase',
    description: 'Lent, and nobody else has it.',
    examples: [
      {
        ...EXAMPLE_LEASE,
        url: 'postgres://shop:PASSWORD@db:5432/shop_test_0049e9e02551dcc8',
        history: { last: '000002', hash: 'sha1:02c73ddb1522f626a7883a57b236ad61465cd992' },
      },
    ],
  },
)

const tags = ['Test databases'] as const
const security = [{ testDatabasesToken: [] }]
const description = 'Exists only with `TEST_DATABASES_MAX` above 0.'
const params = Type.Object({ id: Type.String({ description: 'Of the lease.' }) })

const always = [
  'route_not_found',
  'token_missing',
  'token_wrong',
  'too_many_wrong_tokens',
  'not_ready',
  'ahead',
  'privilege_missing',
  'reset_schema_taken',
  'database_lost',
  'database_read_only',
  'out_of_resources',
] as const

export const lendSchema = {
  tags,
  summary: 'Lends a migrated database of its own to a test',
  description:
    `${description} The body is optional, and read as JSON whatever its content type is. A request waits for up ` +
    'to `waitMs` until a database is free; one whose client disconnects gets none.',
  security,
  body: LendRequestSchema,
  responseHeaders: {
    201: { Location: Type.String({ description: 'The path of the lease.' }) },
  },
  response: {
    201: LentDatabaseSchema,
    ...problemResponses(
      ...always,
      'body_wrong',
      'no_database_free',
      'history_refused',
      'migration_lock_timeout',
      'database_not_reached',
      ...MIGRATING,
    ),
  },
} as const

export const listSchema = {
  tags,
  summary: 'Lists the databases that are lent, by whichever service',
  ...{ description, security },
  response: {
    200: Type.Array(LeaseSchema, { examples: [[{ ...EXAMPLE_LEASE, connections: 2 }]] }),
    ...problemResponses(...always),
  },
} as const

export const findSchema = {
  tags,
  summary: 'Describes a database that is lent',
  ...{ description, security, params },
  response: { 200: LeaseSchema, ...problemResponses(...always, 'lease_not_found') },
} as const

export const extendSchema = {
  tags,
  summary: 'Lends a database for longer',
  ...{ description, security, params },
  body: ExpiryRequestSchema,
  response: { 200: LeaseSchema, ...problemResponses(...always, 'body_wrong', 'lease_not_found') },
} as const

export const giveBackSchema = {
  tags,
  summary: 'Gives a database back',
  description: `${description} The answer comes at once; it is cleaned afterwards.`,
  ...{ security, params },
  response: {
    204: Type.Null({ description: 'It is not lent any more.' }),
    ...problemResponses(...always, 'body_wrong', 'lease_not_found'),
  },
} as const
