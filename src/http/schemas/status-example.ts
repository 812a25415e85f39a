import { SERVICE } from '../../version.ts'

/** A whole answer, with one of everything. */
export const EXAMPLE_STATUS = {
  service: { ...SERVICE, startedAt: '2026-11-22T21:03:39.894Z', uptimeSeconds: 9 },
  state: 'ready',
  detail: null,
  database: {
    kind: 'given',
    host: 'db',
    port: 5432,
    name: 'shop',
    serverVersion: '18.4',
    pgmq: {
      version: '1.13.0',
      installedAs: 'extension',
      messageColumns: ['msg_id', 'read_ct', 'enqueued_at', 'vt', 'message'],
    },
  },
  migrations: {
    applied: [
      {
        filename: '000001-orders.sql',
        name: 'orders',
        message: 'orders',
        hash: 'sha1:2c7bd1c4c9ca5b5b8b3c8b0a3e2f1d0c9b8a7f6e',
        appliedAt: '2026-11-22T21:03:44.615Z',
      },
    ],
    pending: [
      {
        filename: '000002-colours.sql',
        name: 'colours',
        message: 'colours',
        hash: 'sha1:9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b',
      },
    ],
    current: {
      empty: false,
      changes: [
        {
          ...{ kind: 'view', name: 'shop.open_order', change: 'added' },
          detail: 'create view shop.open_order as',
        },
      ],
      failure: {
        ...{ message: 'column "totl" does not exist', file: 'fixtures/shop/open_order.sql' },
        line: 3,
      },
    },
  },
  schemas: { shop: { tables: ['orders'], functions: ['place_order'] } },
  drift: {
    checkedAt: '2026-11-22T21:03:48.071Z',
    inSync: false,
    differences: [
      {
        kind: 'function',
        name: 'shop.place_order(integer)',
        change: 'changed',
        detail:
          'definition differs from line 9: return 2;, was return 1; (lines: 1 added, 1 removed)',
      },
    ],
  },
  reset: { enabled: false, allowedHere: false, count: 0, lastAt: null, lastDurationMs: null },
  testDatabases: { max: 8, lent: 3, ready: 4 },
}
