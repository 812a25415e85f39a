import { Type } from 'typebox'
import { Nullable } from './nullable.ts'

export const BlockerSchema = Type.Object(
  {
    pid: Nullable(Type.Integer({ description: 'Null for a prepared transaction.' })),
    gid: Nullable(Type.String({ description: 'Of a prepared transaction; otherwise null.' })),
    application: Nullable(Type.String({ description: 'Its `application_name`.' })),
    state: Nullable(
      Type.String({ description: 'As in `pg_stat_activity`; null if the role may not see it.' }),
    ),
    ageMs: Nullable(Type.Number({ description: 'How long ago the transaction began.' })),
    query: Nullable(
      Type.String({
        description: 'The first 200 characters with literals; null if the role may not see it.',
      }),
    ),
    mayNotEnd: Type.Boolean({ description: 'The role may not terminate it.' }),
  },
  { $id: 'Blocker', description: 'A transaction that blocked the reset.' },
)

export const EXAMPLE_BLOCKER = {
  pid: 4711,
  gid: null,
  application: 'worker',
  state: 'idle in transaction',
  ageMs: 8200,
  query: 'update orders set state = $1',
  mayNotEnd: false,
}
