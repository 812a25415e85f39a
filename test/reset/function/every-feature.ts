import type { BaselineSchema, BaselineTable } from '../../../src/baseline/schema.ts'

/** A table without anything special. */
const plain = (oid: number, name: string): BaselineTable => ({
  oid,
  toastOid: oid + 3000,
  name,
  schema: 'app',
  isPartitioned: false,
  columns: ['id', 'label'],
  triggers: [],
  rules: [],
  isRowSecurityActive: false,
  isReadOnly: false,
  refusesDeletes: false,
  hasRows: false,
})

const watched = 'app.watched'
const part = 'app.measurement_2026'

/** Foreign keys in a circle, one table with rows and one without. */
const circle: readonly BaselineTable[] = [
  { ...plain(1001, 'app.circle_a'), hasRows: true },
  plain(1002, 'app.circle_b'),
]

/** Refers to the circle, so it is restored and truncated together with it. */
const referrer: BaselineTable = { ...plain(1003, 'app.referrer'), hasRows: true }

/** Triggers in each state that fires, and a rule. */
const triggered: BaselineTable = {
  ...plain(1004, watched),
  triggers: [
    { table: watched, name: 'on_origin', enabled: 'O', events: ['delete'] },
    { table: watched, name: 'on_replica', enabled: 'R', events: ['delete'] },
    { table: watched, name: 'always', enabled: 'A', events: ['truncate'] },
  ],
  rules: [{ table: watched, name: 'keep', enabled: 'O', events: ['delete'] }],
}

/** Partitioned, with a trigger that only a partition has. */
const partitioned: BaselineTable = {
  ...plain(1005, 'app.measurement'),
  isPartitioned: true,
  triggers: [{ table: part, name: 'on_partition', enabled: 'O', events: ['delete'] }],
}

/** Forced row security, which hides rows from the owner, too. */
const hidden: readonly BaselineTable[] = [
  { ...plain(1006, 'app.hidden'), isRowSecurityActive: true },
  { ...plain(1007, 'app.hidden_with_rows'), isRowSecurityActive: true, hasRows: true },
]

/** Names that have to be quoted. */
const quoted: BaselineTable = {
  ...plain(1008, '"Odd schema"."it\'s ""odd"""'),
  columns: ['"sel ect"', '"a\\b"'],
  hasRows: true,
}

/** Published without a key, and a table that refers to it. */
const published: readonly BaselineTable[] = [
  { ...plain(1009, 'app.published'), refusesDeletes: true },
  plain(1010, 'app.of_published'),
]

/** PGMQ's list of queues, published as well. */
const queueList: BaselineTable = {
  ...plain(1011, 'pgmq.meta'),
  hasRows: true,
  refusesDeletes: true,
}

/** In a schema that is to be emptied. */
const emptied: BaselineTable = { ...plain(1012, 'jobs.job'), schema: 'jobs' }

const groups = [
  circle,
  [referrer],
  [triggered],
  [partitioned],
  ...hidden.map((table) => [table]),
  [quoted],
  ...published.map((table) => [table]),
  [queueList],
  [emptied],
]

const sequence = { schema: 'app', start: '1' } as const

/** A schema made by hand: one of everything that the reset function has special statements for. */
export const EVERY_FEATURE: BaselineSchema = {
  others: { ignored: ['worker'], emptied: ['jobs'], emptiedState: 'state' },
  tables: groups.flat(),
  groups,
  foreignKeys: [
    { child: 'app.circle_a', parent: 'app.circle_b', isDeferrable: false },
    { child: 'app.circle_b', parent: 'app.circle_a', isDeferrable: true },
    { child: 'app.referrer', parent: 'app.circle_a', isDeferrable: false },
    { child: 'app.of_published', parent: 'app.published', isDeferrable: false },
  ],
  readOnlyTables: [{ ...plain(1013, 'gis.spatial_ref_sys'), hasRows: true, isReadOnly: true }],
  materializedViews: [
    { oid: 2001, name: 'app.counted', isPopulated: true },
    { oid: 2002, name: 'app.unfilled', isPopulated: false },
  ],
  sequences: [
    { ...sequence, oid: 3001, name: 'app.cached', isCached: true, lastValue: '5', isCalled: false },
    { ...sequence, oid: 3002, name: 'app.used', isCached: false, lastValue: '12', isCalled: true },
  ],
  parts: {
    relations: [...groups.flat().map(({ name }) => name), part, 'app.counted', 'app.unfilled'],
    hasCompositeTypes: true,
  },
  queues: ['work', 'Mixed_Case'],
  hasSequenceData: true,
}
