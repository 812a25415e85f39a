import { type ForeignKey, groupTables, listForeignKeys } from '../catalog/foreign-keys.ts'
import { hasPgmq } from '../catalog/queues.ts'
import {
  hasSequenceDataFunction,
  listMaterializedViews,
  listParts,
  listSequences,
  listTables,
  type MaterializedView,
  type Parts,
  type Sequence,
  type Table,
  type Trigger,
} from '../catalog/tables.ts'
import type { Queryable } from '../postgres/client.ts'

/** A table of the baseline; `triggers` and `rules` are those that a reset would fire. */
export interface BaselineTable extends Table {
  /** The baseline has rows of it. */
  readonly hasRows: boolean
}

/** A sequence with its value in the baseline. */
export interface BaselineSequence extends Sequence {
  readonly lastValue: string
  readonly isCalled: boolean
}

/** The objects of the baseline, as the catalogue has them now; newer objects are ignored. */
export interface BaselineSchema {
  /** Parents before children. */
  readonly tables: readonly BaselineTable[]
  /** The same; tables that refer to each other in a circle share a group. */
  readonly groups: readonly (readonly BaselineTable[])[]
  /** `isPopulated` is the baseline's. */
  readonly materializedViews: readonly MaterializedView[]
  readonly sequences: readonly BaselineSequence[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly parts: Parts
  /** Names of PGMQ's queues in the baseline; undefined where PGMQ is not installed. */
  readonly queues: readonly string[] | undefined
  readonly hasSequenceData: boolean
}

/** Looks up the objects of the baseline in the catalogue. */
export async function loadBaselineSchema(client: Queryable): Promise<BaselineSchema> {
  const baseline = await loadBaseline(client)
  const isKnown = ({ name }: { readonly name: string }) => baseline.relations.has(name)

  const foreignKeys = (await listForeignKeys(client)).filter(
    ({ child, parent }) => baseline.relations.has(child) && baseline.relations.has(parent),
  )
  const tables = (await listTables(client)).filter(isKnown).map((table): BaselineTable => {
    const hasRows = baseline.isPopulated.has(table.name)
    const firesInReset = ({ events }: Trigger) =>
      events.includes('delete') ||
      events.includes('truncate') ||
      (hasRows && events.includes('insert'))
    return {
      ...table,
      hasRows,
      triggers: table.triggers.filter(firesInReset),
      rules: table.rules.filter(firesInReset),
    }
  })
  const groups = groupTables(tables, foreignKeys)
  const views = (await listMaterializedViews(client)).filter(isKnown)
  const parts = await listParts(client)
  return {
    tables: groups.flat(),
    groups,
    foreignKeys,
    parts: {
      ...parts,
      relations: parts.relations.filter((name) => baseline.relations.has(name)),
    },
    materializedViews: views.map((view) => ({
      ...view,
      isPopulated: baseline.isPopulated.get(view.name) ?? view.isPopulated,
    })),
    sequences: (await listSequences(client)).flatMap((sequence) => {
      const value = baseline.sequences.get(sequence.name)
      return value ? { ...sequence, ...value } : []
    }),
    queues: (await hasPgmq(client)) ? baseline.queues : undefined,
    hasSequenceData: await hasSequenceDataFunction(client),
  }
}

/** Reads what the baseline holds, by name and without the rows. */
async function loadBaseline(client: Queryable) {
  const { rows: objects } = await client.query<{ kind: string; name: string }>(
    `select kind, name
       from provisioning.baseline_object
      where kind in ('table', 'view', 'materialized view', 'queue')
      order by name`,
  )
  const { rows: populated } = await client.query<{ name: string; isPopulated: boolean }>(
    `select name, is_populated as "isPopulated" from provisioning.baseline_relation`,
  )
  const { rows: sequences } = await client.query<{
    name: string
    lastValue: string
    isCalled: boolean
  }>(
    `select name, last_value as "lastValue", is_called as "isCalled"
       from provisioning.baseline_sequence`,
  )
  const isQueue = ({ kind }: { kind: string }) => kind === 'queue'
  return {
    relations: new Set(objects.filter((object) => !isQueue(object)).map(({ name }) => name)),
    queues: objects.filter(isQueue).map(({ name }) => name),
    isPopulated: new Map(populated.map(({ name, isPopulated }) => [name, isPopulated])),
    sequences: new Map(sequences.map(({ name, ...value }) => [name, value])),
  }
}
