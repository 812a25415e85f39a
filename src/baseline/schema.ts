import { isObjectIn } from '../catalog/diff.ts'
import { emptiedStateSql } from '../catalog/emptied.ts'
import { type ForeignKey, groupTables, listForeignKeys } from '../catalog/foreign-keys.ts'
import { hasPgmq } from '../catalog/queues.ts'
import { NO_OTHER_SCHEMAS, notCompared, type OtherSchemas } from '../catalog/scope.ts'
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

/** The schemas of other tools, and what is in those that a reset empties. */
export interface EmptiedSchemas extends OtherSchemas {
  /** Of `emptiedStateSql`; undefined where no schema is to be emptied. */
  readonly emptiedState: string | undefined
}

/**
 * The objects of the baseline, as the catalogue has them now, and the tables and sequences of the schemas to
 * be emptied; other newer objects are ignored.
 */
export interface BaselineSchema {
  readonly others: EmptiedSchemas
  /** Parents before children. */
  readonly tables: readonly BaselineTable[]
  /** The same; tables that refer to each other in a circle share a group. */
  readonly groups: readonly (readonly BaselineTable[])[]
  /** Not among `tables`: a reset can only tell whether they have changed. */
  readonly readOnlyTables: readonly BaselineTable[]
  /** `isPopulated` is the baseline's. */
  readonly materializedViews: readonly MaterializedView[]
  readonly sequences: readonly BaselineSequence[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly parts: Parts
  /** Names of PGMQ's queues in the baseline; undefined where PGMQ is not installed. */
  readonly queues: readonly string[] | undefined
  readonly hasSequenceData: boolean
}

/** Looks up the objects of the baseline, and what has to be emptied, in the catalogue. */
export async function loadBaselineSchema(
  client: Queryable,
  others: OtherSchemas = NO_OTHER_SCHEMAS,
): Promise<BaselineSchema> {
  const baseline = await loadBaseline(client, others)
  // Read first: what changes after it is noticed by the reset.
  const emptiedState = await readEmptiedState(client, others)
  const isEmptied = ({ schema }: { readonly schema: string }) => others.emptied.includes(schema)

  const all = (await listTables(client, others.ignored))
    .filter((table) => baseline.relations.has(table.name) || isEmptied(table))
    .map((table): BaselineTable => {
      const hasRows = baseline.isPopulated.has(table.name)
      // The triggers of a partition that was created since are those of a table that will be dropped.
      const isOfBaseline = (trigger: Trigger) =>
        trigger.table === table.name || baseline.relations.has(trigger.table) || isEmptied(table)
      const firesInReset = (trigger: Trigger) =>
        isOfBaseline(trigger) &&
        (trigger.events.includes('delete') ||
          trigger.events.includes('truncate') ||
          (hasRows && trigger.events.includes('insert')))
      return {
        ...table,
        hasRows,
        triggers: table.triggers.filter(firesInReset),
        rules: table.rules.filter(firesInReset),
      }
    })
  const tables = all.filter(({ isReadOnly }) => !isReadOnly)
  const names = new Set(tables.map(({ name }) => name))
  const foreignKeys = (await listForeignKeys(client)).filter(
    ({ child, parent }) => names.has(child) && names.has(parent),
  )
  const groups = groupTables(tables, foreignKeys)
  const views = (await listMaterializedViews(client, notCompared(others))).filter(({ name }) =>
    baseline.relations.has(name),
  )
  const parts = await listParts(client)
  return {
    others: { ...others, emptiedState },
    tables: groups.flat(),
    groups,
    readOnlyTables: all.filter(({ isReadOnly }) => isReadOnly),
    foreignKeys,
    parts: {
      ...parts,
      relations: parts.relations.filter((name) => baseline.relations.has(name)),
    },
    materializedViews: views.map((view) => ({
      ...view,
      isPopulated: baseline.isPopulated.get(view.name) ?? view.isPopulated,
    })),
    sequences: (await listSequences(client, others.ignored)).flatMap((sequence) => {
      if (isEmptied(sequence)) return { ...sequence, lastValue: sequence.start, isCalled: false }
      const value = baseline.sequences.get(sequence.name)
      return value ? { ...sequence, ...value } : []
    }),
    queues: (await hasPgmq(client)) ? baseline.queues : undefined,
    hasSequenceData: await hasSequenceDataFunction(client),
  }
}

async function readEmptiedState(
  client: Queryable,
  { emptied }: OtherSchemas,
): Promise<string | undefined> {
  if (emptied.length === 0) return undefined
  const { rows } = await client.query<{ state: string | null }>(
    `select (${emptiedStateSql(emptied)}) as state`,
  )
  return rows[0]?.state ?? ''
}

/**
 * Reads what the baseline holds, by name and without the rows. A schema that is left out may have been
 * captured before it was.
 */
async function loadBaseline(client: Queryable, others: OtherSchemas) {
  const { rows: objects } = await client.query<{ kind: string; name: string }>(
    `select kind, name
       from provisioning.baseline_object
      where kind in ('table', 'view', 'materialized view', 'queue')
        and not ${isObjectIn(notCompared(others))}
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
  const relations = new Set(objects.filter((object) => !isQueue(object)).map(({ name }) => name))
  return {
    relations,
    queues: objects.filter(isQueue).map(({ name }) => name),
    isPopulated: new Map(
      populated
        .filter(({ name }) => relations.has(name))
        .map(({ name, isPopulated }) => [name, isPopulated]),
    ),
    sequences: new Map(sequences.map(({ name, ...value }) => [name, value])),
  }
}
