import { Type } from 'typebox'
import { Nullable } from './nullable.ts'

/** What every description of a lease has. */
export const LEASE = {
  id: Type.String({ format: 'uuid' }),
  name: Type.String({ description: 'Of the database, on its server.' }),
  label: Nullable(Type.String()),
  lentAt: Type.String({ format: 'date-time' }),
  expiresAt: Type.String({ format: 'date-time' }),
}

export const EXAMPLE_LEASE = {
  id: '31445f1c-a939-4529-ac9a-2c207f8e64a6',
  name: 'shop_test_0049e9e02551dcc8',
  label: 'orders.test.ts, worker 3',
  lentAt: '2026-11-26T18:02:10.830Z',
  expiresAt: '2026-11-26T18:07:10.830Z',
}

export const LeaseSchema = Type.Object(
  {
    ...LEASE,
    connections: Type.Integer({ description: 'Sessions that its borrower has open.' }),
  },
  {
    $id: 'Lease',
    description: 'A database that is lent.',
    examples: [{ ...EXAMPLE_LEASE, connections: 2 }],
  },
)
