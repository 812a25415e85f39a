import type { Queryable } from '../postgres/client.ts'
import { type ForeignKey, groupTables } from './foreign-keys.ts'
import { RELATIONS_SQL } from './objects.ts'

/** A trigger or a rule that what a reset does would fire. */
export interface Trigger {
  /** Quoted and qualified: the table itself, or the partition that has it. */
  readonly table: string
  /** Quoted. */
  readonly name: string
  /** pg_trigger.tgenabled or pg_rewrite.ev_enabled: `O` origin, `R` replica, `A` always. */
  readonly enabled: 'O' | 'R' | 'A'
}

export interface Table {
  readonly oid: number
  /** Quoted and qualified. */
  readonly name: string
  readonly isPartitioned: boolean
  /** Quoted; without the generated ones. */
  readonly columns: readonly string[]
  /** Switching one off makes every plan on the table anew. */
  readonly triggers: readonly Trigger[]
  readonly rules: readonly Trigger[]
  /** Row security hides rows from this role, too. */
  readonly isRowSecurityActive: boolean
  readonly hasRows: boolean
}

export interface MaterializedView {
  readonly oid: number
  readonly name: string
  readonly isPopulated: boolean
}

export interface Sequence {
  readonly oid: number
  readonly name: string
  /** Sessions may hold values of it. */
  readonly isCached: boolean
  readonly lastValue: string
  readonly isCalled: boolean
}

/** Whatever has parts of its own: columns, constraints, triggers, rules, policies. */
export interface Parts {
  /** Tables, partitions and views, quoted and qualified. */
  readonly relations: readonly string[]
  /** There are composite types, too, which no statement can name as it names a relation. */
  readonly hasCompositeTypes: boolean
}

/** What the baseline speaks of, as it stands in the catalogue. */
export interface Model {
  /** Parents before children. */
  readonly tables: readonly Table[]
  /** The same; together are those that refer to each other in a circle. */
  readonly groups: readonly (readonly Table[])[]
  readonly materializedViews: readonly MaterializedView[]
  readonly sequences: readonly Sequence[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly parts: Parts
  /** Names of PGMQ's queues in the baseline; undefined where there is no PGMQ. */
  readonly queues: readonly string[] | undefined
  /** PostgreSQL 18 reads a sequence by a function, at a fifth of what a query of it costs. */
  readonly hasSequenceData: boolean
}

/** Where a table's own rows are read from: a partitioned one has them in its partitions. */
export function sourceOf(table: Pick<Table, 'name' | 'isPartitioned'>): string {
  return table.isPartitioned ? table.name : `only ${table.name}`
}

/** PGMQ's tables of a queue. */
export function queueTablesOf(queue: string): [string, string] {
  const quote = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name}"`)
  const name = queue.toLowerCase()
  return [`pgmq.${quote(`q_${name}`)}`, `pgmq.${quote(`a_${name}`)}`]
}

export async function hasPgmq(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    `select to_regclass('pgmq.meta') is not null as there`,
  )
  return rows[0]?.there === true
}

/** Every queue by its table; one that was taken out of PGMQ's list is still there. */
export const LOST_QUEUES_SQL = `
  select substr(relname, 3) from pg_class
   where relnamespace = to_regnamespace('pgmq') and relkind in ('r', 'p') and not relispartition
     and relname like 'q\\_%'`

/** The queues of the baseline; undefined where there is no PGMQ. */
async function listQueues(client: Queryable): Promise<string[] | undefined> {
  if (!(await hasPgmq(client))) return undefined
  const { rows } = await client.query<{ name: string }>(
    `select name from provisioning.baseline_object where kind = 'queue' order by name`,
  )
  return rows.map((row) => row.name)
}

const FIRING = `'A', case current_setting('session_replication_role') when 'replica' then 'R' else 'O' end`

/** Lists the tables; `hasRows` is the baseline's word. */
export async function listTables(client: Queryable): Promise<Table[]> {
  const { rows } = await client.query<Table>(
    `with ${RELATIONS_SQL}
     select oid::int8::float8 as oid, name, relkind = 'p' as "isPartitioned",
            array(select quote_ident(attname) from pg_attribute
                   where attrelid = relation.oid and attnum > 0 and not attisdropped
                     and attgenerated = '' order by attnum) as columns,
            (select coalesce(jsonb_agg(jsonb_build_object(
                      'table', tgrelid::regclass, 'name', quote_ident(tgname),
                      'enabled', tgenabled) order by tgrelid, tgname), '[]')
               from pg_trigger
              where (tgrelid = relation.oid
                     or tgrelid in (select relid from pg_partition_tree(relation.oid)))
                and not tgisinternal and tgenabled in (${FIRING})
                -- 8 is delete, 32 truncate, 4 insert.
                and (tgtype & 40 <> 0 or tgtype & 4 <> 0 and baseline.name is not null)
            ) as triggers,
            (select coalesce(jsonb_agg(jsonb_build_object(
                      'table', relation.name, 'name', quote_ident(rulename),
                      'enabled', ev_enabled) order by rulename), '[]')
               from pg_rewrite
              where ev_class = relation.oid and ev_enabled in (${FIRING})
                and (ev_type = '4' or ev_type = '3' and baseline.name is not null)
            ) as rules,
            row_security_active(relation.oid) as "isRowSecurityActive",
            baseline.name is not null as "hasRows"
       from relation
       left join provisioning.baseline_relation as baseline using (name)
      where relkind in ('r', 'p') and not relispartition
      order by name`,
  )
  return rows
}

/** Lists the materialised views in the order in which they were made, as they can build on each other. */
export async function listMaterializedViews(client: Queryable): Promise<MaterializedView[]> {
  const { rows } = await client.query<MaterializedView>(
    `with ${RELATIONS_SQL}
     select oid::int8::float8 as oid, relation.name,
            coalesce(is_populated, relispopulated) as "isPopulated"
       from relation
       left join provisioning.baseline_relation as baseline using (name)
      where relkind = 'm'
      order by oid`,
  )
  return rows
}

/** Lists the sequences with the values that the baseline has for them. */
async function listSequences(client: Queryable): Promise<Sequence[]> {
  const { rows } = await client.query<Sequence>(
    `select seqrelid::int8::float8 as oid, name, seqcache > 1 as "isCached",
            last_value as "lastValue", is_called as "isCalled"
       from provisioning.baseline_sequence
       join pg_sequence on seqrelid = to_regclass(name)
      order by name`,
  )
  return rows
}

/** Lists the keys between tables; those of partitions are parts of their parent's. */
async function listForeignKeys(client: Queryable): Promise<ForeignKey[]> {
  const { rows } = await client.query<ForeignKey>(
    `with ${RELATIONS_SQL}
     select child.name as child, parent.name as parent, bool_or(condeferrable) as "isDeferrable"
       from pg_constraint
       join relation as child
         on child.oid = coalesce(pg_partition_root(conrelid), conrelid)
       join relation as parent
         on parent.oid = coalesce(pg_partition_root(confrelid), confrelid)
      where contype = 'f'
      group by 1, 2
      order by 1, 2`,
  )
  return rows
}

async function readParts(client: Queryable): Promise<Parts> {
  const { rows } = await client.query<Parts>(
    `with ${RELATIONS_SQL}
     select array(select name from relation where relkind in ('r', 'p', 'v', 'm', 'f')
                   order by name) as relations,
            exists (select from relation where relkind = 'c') as "hasCompositeTypes"`,
  )
  return rows[0] as Parts
}

/** Reads the catalogue for whatever the baseline speaks of; what came since is none of its business. */
export async function loadModel(client: Queryable): Promise<Model> {
  const { rows } = await client.query<{ name: string }>(
    `select name from provisioning.baseline_object
      where kind in ('table', 'view', 'materialised view')`,
  )
  const known = new Set(rows.map((row) => row.name))
  const isKnown = ({ name }: { readonly name: string }) => known.has(name)

  const foreignKeys = (await listForeignKeys(client)).filter(
    ({ child, parent }) => known.has(child) && known.has(parent),
  )
  const groups = groupTables((await listTables(client)).filter(isKnown), foreignKeys)
  const parts = await readParts(client)
  return {
    tables: groups.flat(),
    groups,
    parts: { ...parts, relations: parts.relations.filter((name) => known.has(name)) },
    materializedViews: (await listMaterializedViews(client)).filter(isKnown),
    sequences: await listSequences(client),
    foreignKeys,
    queues: await listQueues(client),
    hasSequenceData: await hasSequenceData(client),
  }
}

async function hasSequenceData(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    `select to_regprocedure('pg_get_sequence_data(regclass)') is not null as there`,
  )
  return rows[0]?.there === true
}
