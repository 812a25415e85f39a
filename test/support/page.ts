import type { SchemaOverview, TableOverview } from '../../src/catalog/overview.ts'
import type { Status } from '../../src/http/schemas/status.ts'
import type { PageData } from '../../src/page/data.ts'
import type { State } from '../../src/status/remedies.ts'

const DAY_MS = 86_400_000

/** The time at which the pages of the tests are made. */
export const NOW = new Date()

const before = (ms: number) => new Date(NOW.getTime() - ms).toISOString()

const MIGRATIONS = [
  ['000001-catalogue.sql', 'What the shop sells: products, prices and stock'],
  ['000002-customers.sql', 'Customers and their addresses'],
  ['000003-orders.sql', 'Orders, their lines and payments'],
  ['000004-search.sql', 'Find products by words in any language'],
] as const

const describeMigration = ([filename, message]: readonly [string, string], index: number) => ({
  filename,
  name: filename.slice(7, -4),
  message,
  hash: `sha1:${String(index).repeat(40)}`,
})

/** The status of a service with `applied` of its four migrations. */
export function createStatus(
  state: State,
  detail: string | null,
  { applied = 4, ...parts }: Partial<Status> & { readonly applied?: number } = {},
): Status {
  const migrations = MIGRATIONS.map(describeMigration)
  return {
    service: {
      name: 'commandbus-db',
      version: '0.2.0',
      startedAt: before(3.2 * 3_600_000),
      uptimeSeconds: 3.2 * 3600,
    },
    state,
    detail,
    database: {
      ...{ kind: 'given', host: 'db.internal', port: 5432, name: 'shop', serverVersion: '18.4' },
      pgmq: { version: '1.6.1', installedAs: 'extension', messageColumns: [] },
    },
    migrations: {
      applied: migrations
        .slice(0, applied)
        .map((one, index) => ({ ...one, appliedAt: before((41 - 13 * index) * DAY_MS) })),
      pending: migrations.slice(applied),
      current: { empty: true },
    },
    schemas: {},
    drift: { checkedAt: null, inSync: null, reason: 'not compared yet', differences: [] },
    reset: {
      ...{ enabled: true, allowedHere: true, count: 37 },
      ...{ lastAt: before(4 * 60_000), lastDurationMs: 3.4 },
    },
    testDatabases: null,
    ...parts,
  }
}

/** Describes a table by `name type` for each column, `*` before those of the primary key. */
export function describeTable(
  name: string,
  comment: string | null,
  columns: readonly string[],
  keys: readonly { readonly of: string; readonly to: string; readonly isUnique?: boolean }[] = [],
): TableOverview {
  return {
    ...{ name, comment, partitions: 0 },
    columns: columns.map((text) => {
      const [column = '', ...type] = text.replace('*', '').split(' ')
      const isPrimaryKey = text.startsWith('*')
      return { name: column, type: type.join(' '), isNullable: !isPrimaryKey, isPrimaryKey }
    }),
    foreignKeys: keys.map(({ of, to, isUnique = false }) => {
      const [parentSchema = '', parentTable = ''] = to.split('.')
      return { columns: [of], parentSchema, parentTable, parentColumns: ['id'], isUnique }
    }),
  }
}

const ID = '*id bigint'

const SHOP: SchemaOverview = {
  name: 'shop',
  comment: 'What is sold, to whom, and what of it is paid.',
  tables: [
    describeTable(
      'address',
      'Where to deliver.',
      [ID, 'customer_id bigint', 'street text', 'city text', 'country character(2)'],
      [{ of: 'customer_id', to: 'shop.customer' }],
    ),
    describeTable(
      'category',
      'A tree of kinds of products.',
      [ID, 'parent_id bigint', 'title text'],
      [{ of: 'parent_id', to: 'shop.category' }],
    ),
    describeTable('customer', 'Who buys.', [
      ID,
      'email text',
      'name text',
      'created_at timestamp with time zone',
    ]),
    describeTable(
      'order',
      'What a customer has asked for.',
      [
        ID,
        'customer_id bigint',
        'address_id bigint',
        'status text',
        'placed_at timestamp with time zone',
      ],
      [
        { of: 'customer_id', to: 'shop.customer' },
        { of: 'address_id', to: 'shop.address' },
      ],
    ),
    describeTable(
      'order_line',
      null,
      [
        '*order_id bigint',
        '*line integer',
        'product_id bigint',
        'quantity integer',
        'price numeric(12,2)',
      ],
      [
        { of: 'order_id', to: 'shop.order' },
        { of: 'product_id', to: 'shop.product' },
      ],
    ),
    describeTable(
      'payment',
      'At most one for each order.',
      [ID, 'order_id bigint', 'amount numeric(12,2)', 'paid_at timestamp with time zone'],
      [{ of: 'order_id', to: 'shop.order', isUnique: true }],
    ),
    describeTable(
      'product',
      'What can be ordered.',
      [ID, 'category_id bigint', 'title text', 'price numeric(12,2)', 'tags text[]'],
      [{ of: 'category_id', to: 'shop.category' }],
    ),
    describeTable('setting', 'One row for each switch of the shop.', ['*name text', 'value jsonb']),
    describeTable(
      'stock',
      null,
      ['*product_id bigint', '*warehouse text', 'quantity integer'],
      [{ of: 'product_id', to: 'shop.product' }],
    ),
  ],
  views: [{ name: 'open_order', comment: 'Orders that are not paid yet.' }],
  routines: [
    {
      name: 'place_order',
      kind: 'procedure',
      arguments: 'IN p_customer_id bigint, IN p_lines jsonb, INOUT p_order_id bigint DEFAULT NULL',
      result: null,
      comment: 'Places an order and reserves its products. Raises out_of_stock.',
    },
    {
      name: 'find_product',
      kind: 'function',
      arguments: 'p_words text, p_limit integer DEFAULT 20',
      result: 'SETOF shop.product',
      comment: 'Returns the products whose title has these words, the best match first.',
    },
    {
      name: 'tg_order__stamp',
      kind: 'trigger',
      arguments: '',
      result: 'trigger',
      comment: 'Sets placed_at.',
    },
  ],
}

const REPORTS: SchemaOverview = {
  ...{ name: 'reports', comment: null, views: [], routines: [] },
  tables: [
    describeTable(
      'daily_sale',
      'What was sold in a day.',
      ['*day date', '*product_id bigint', 'quantity integer', 'revenue numeric(14,2)'],
      [{ of: 'product_id', to: 'shop.product' }],
    ),
  ],
}

/** What the page shows in this state. */
export function createPageData(
  status: Status = createStatus('ready', null),
  {
    schemas = [SHOP, REPORTS],
    blockers = [],
  }: Partial<PageData & { schemas: readonly SchemaOverview[] }> = {},
): PageData {
  return { status, overview: { schemas, readAt: before(2000) }, blockers }
}

/** A page for each state, as it looks at its most telling. */
export const STATE_PAGES: Readonly<Record<State, PageData>> = {
  ready: createPageData(
    createStatus('ready', null, {
      drift: { checkedAt: before(20_000), inSync: true, differences: [] },
      testDatabases: { max: 8, lent: 3, ready: 2 },
    }),
  ),
  waiting_for_database: createPageData(
    createStatus('waiting_for_database', 'connect ECONNREFUSED 10.1.4.20:5432', {
      applied: 0,
      database: {
        kind: 'given',
        host: 'db.internal',
        port: 5432,
        name: 'shop',
        serverVersion: null,
        pgmq: null,
      },
      reset: { enabled: false, allowedHere: false, count: 0, lastAt: null, lastDurationMs: null },
    }),
    { schemas: [] },
  ),
  waiting_for_lock: createPageData(
    createStatus(
      'waiting_for_lock',
      'waiting for the migration lock: held by pid 4711, application commandbus-db lock, connected since 2026-11-26T17:02:58.120Z',
      { applied: 2 },
    ),
  ),
  migrating: createPageData(
    createStatus(
      'migrating',
      'applying 000003-orders.sql, 1 of 2: waiting for a lock, blocked by pid 8127, application nightly-report, idle in transaction, open for 94 s',
      { applied: 2 },
    ),
    {
      blockers: [
        {
          pid: 8127,
          gid: null,
          application: 'nightly-report',
          state: 'idle in transaction',
          ageMs: 94_000,
        },
        { pid: null, gid: 'transfer-17', application: null, state: null, ageMs: 7_400_000 },
      ],
    },
  ),
  migration_failed: createPageData(
    createStatus(
      'migration_failed',
      '000003-orders.sql failed at line 12: column "customer_id" referenced in foreign key constraint does not exist (SQLSTATE 42703); it was rolled back',
      { applied: 2 },
    ),
  ),
  history_refused: createPageData(
    createStatus(
      'history_refused',
      '000002-customers.sql differs from what was applied: the database has 000002.sql with hash sha1:1111111111111111111111111111111111111111, the file has sha1:7d0c1f6b3a5e4d2c9b8a7f6e5d4c3b2a1f0e9d8c',
      { applied: 2 },
    ),
  ),
  database_unavailable: createPageData(
    createStatus('database_unavailable', 'no answer from the database within 1.5 s'),
  ),
  rebuilding: createPageData(
    createStatus('rebuilding', 'applying 000002-customers.sql, 2 of 4', { applied: 1 }),
  ),
  stopping: createPageData(createStatus('stopping', 'the service is stopping')),
}

/** Ready, and yet something to look at. */
export const DRIFTED: PageData = createPageData(
  createStatus('ready', null, {
    drift: {
      ...{ checkedAt: before(20_000), inSync: false },
      differences: [
        { kind: 'column', name: 'shop.customer.phone', change: 'added', detail: 'text' },
        {
          kind: 'index',
          name: 'shop.order_placed_at_idx',
          change: 'dropped',
          detail: 'CREATE INDEX order_placed_at_idx ON shop."order" USING btree (placed_at)',
        },
        {
          kind: 'procedure',
          name: 'shop.place_order(bigint, jsonb, bigint)',
          change: 'changed',
          detail: 'body, line 14: "for update" became "for no key update"',
        },
      ],
    },
  }),
)

/** More tables than anybody reads. */
export const LARGE: PageData = {
  ...createPageData(createStatus('ready', null), { schemas: [] }),
  overview: {
    schemas: [],
    readAt: before(2000),
    large: {
      counts: { tables: 12_345, views: 7, routines: 0 },
      schemaCount: 61,
      schemas: [
        { name: 'tenant_1', tables: 11_111, views: 7, routines: 0 },
        { name: 'tenant_2', tables: 1000, views: 0, routines: 0 },
      ],
      largestTables: [
        {
          ...{ schema: 'tenant_1', name: 'event', partitions: 24 },
          ...{ rows: 1_234_567, bytes: 1.5 * 1024 ** 3 },
        },
        { schema: 'tenant_2', name: 'person', partitions: 0, rows: null, bytes: null },
      ],
    },
  },
}
