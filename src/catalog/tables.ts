import type { Queryable } from '../postgres/client.ts'
import { refusesDeletes } from './publications.ts'
import { isExtensionData, relationCte } from './scope.ts'

/** A statement that can fire a trigger or a rule. */
export type TriggerEvent = 'insert' | 'update' | 'delete' | 'truncate'

/** An enabled trigger or rule of a table. */
export interface Trigger {
  /** Quoted and qualified: the table itself, or the partition that the trigger belongs to. */
  readonly table: string
  /** Quoted. */
  readonly name: string
  /** pg_trigger.tgenabled or pg_rewrite.ev_enabled: `O` origin, `R` replica, `A` always. */
  readonly enabled: 'O' | 'R' | 'A'
  readonly events: readonly TriggerEvent[]
}

export interface Table {
  readonly oid: number
  /** Of the table that holds its large values; 0 where there is none. VACUUM FULL makes another one. */
  readonly toastOid: number
  /** Quoted and qualified. */
  readonly name: string
  /** As the catalogue has it. */
  readonly schema: string
  readonly isPartitioned: boolean
  /** Quoted; without the generated columns. */
  readonly columns: readonly string[]
  /** Triggers that fire in this session, those of partitions included. */
  readonly triggers: readonly Trigger[]
  /** Rules that apply in this session. */
  readonly rules: readonly Trigger[]
  /** Row security hides rows from this role, too. */
  readonly isRowSecurityActive: boolean
  /** It belongs to an extension, and this role can read it but not restore it. */
  readonly isReadOnly: boolean
  /** A publication prevents rows from being deleted, since nothing identifies them. */
  readonly refusesDeletes: boolean
}

export interface MaterializedView {
  readonly oid: number
  readonly name: string
  readonly isPopulated: boolean
}

export interface Sequence {
  readonly oid: number
  /** Quoted and qualified. */
  readonly name: string
  /** As the catalogue has it. */
  readonly schema: string
  /** Where it starts, as text. */
  readonly start: string
  /** Sessions may hold values of it. */
  readonly isCached: boolean
}

/** The relations that have parts: columns, constraints, triggers, rules, policies. */
export interface Parts {
  /** Tables, partitions and views, quoted and qualified. */
  readonly relations: readonly string[]
  /** Composite types have parts, too, but a statement cannot read from them. */
  readonly hasCompositeTypes: boolean
}

/** Where to read a table's own rows: those of a partitioned table are in its partitions. */
export function sourceOf(table: Pick<Table, 'name' | 'isPartitioned'>): string {
  return table.isPartitioned ? table.name : `only ${table.name}`
}

const FIRES = (enabled: string) =>
  `${enabled} in ('A', case current_setting('session_replication_role') when 'replica' then 'R' else 'O' end)`

/**
 * Lists the user's tables, without partitions, in order of their names. Triggers of an extension's own table
 * are not listed: the extension relies on them.
 */
export async function listTables(
  client: Queryable,
  leftOut: readonly string[] = [],
): Promise<Table[]> {
  const { rows } = await client.query<Table>(
    `with ${relationCte({ leftOut })}
     select oid::int8::float8 as oid, reltoastrelid::int8::float8 as "toastOid",
            name, nspname::text as schema, relkind = 'p' as "isPartitioned",
            array(select quote_ident(attname) from pg_attribute
                   where attrelid = relation.oid and attnum > 0 and not attisdropped
                     and attgenerated = '' order by attnum) as columns,
            (select coalesce(jsonb_agg(jsonb_build_object(
                      'table', tgrelid::regclass, 'name', quote_ident(tgname), 'enabled', tgenabled,
                      'events', array(select event
                                        from (values (4, 'insert'), (8, 'delete'), (16, 'update'),
                                                     (32, 'truncate')) as bits (bit, event)
                                       where tgtype & bit <> 0))
                      order by tgrelid, tgname), '[]')
               from pg_trigger
              where (tgrelid = relation.oid
                     or tgrelid in (select relid from pg_partition_tree(relation.oid)))
                and not tgisinternal and ${FIRES('tgenabled')}
                and not (nspname <> 'pgmq' and ${isExtensionData('relation.oid')})) as triggers,
            (select coalesce(jsonb_agg(jsonb_build_object(
                      'table', relation.name, 'name', quote_ident(rulename), 'enabled', ev_enabled,
                      'events', array[case ev_type when '2' then 'update' when '3' then 'insert'
                                                   when '4' then 'delete' end])
                      order by rulename), '[]')
               from pg_rewrite
              where ev_class = relation.oid and ev_type <> '1' and ${FIRES('ev_enabled')}) as rules,
            row_security_active(relation.oid) as "isRowSecurityActive",
            nspname <> 'pgmq' and ${isExtensionData('relation.oid')}
            and not pg_has_role(relowner, 'usage')
            and not (has_table_privilege(relation.oid, 'insert')
                     and has_table_privilege(relation.oid, 'delete')) as "isReadOnly",
            ${refusesDeletes('relation.oid')} as "refusesDeletes"
       from relation
      where relkind in ('r', 'p') and not relispartition
      order by name`,
  )
  return rows
}

/** Lists materialized views in the order of their creation, since they can build on each other. */
export async function listMaterializedViews(
  client: Queryable,
  leftOut: readonly string[] = [],
): Promise<MaterializedView[]> {
  const { rows } = await client.query<MaterializedView>(
    `with ${relationCte({ leftOut })}
     select oid::int8::float8 as oid, name, relispopulated as "isPopulated"
       from relation
      where relkind = 'm'
      order by relation.oid`,
  )
  return rows
}

/** Lists the user's sequences in order of their names. */
export async function listSequences(
  client: Queryable,
  leftOut: readonly string[] = [],
): Promise<Sequence[]> {
  const { rows } = await client.query<Sequence>(
    `with ${relationCte({ leftOut })}
     select oid::int8::float8 as oid, name, nspname::text as schema, seqstart::text as start,
            seqcache > 1 as "isCached"
       from relation join pg_sequence on seqrelid = oid
      where relkind = 'S'
      order by name`,
  )
  return rows
}

/** PostgreSQL 18 reads a sequence by a function, at a fifth of what a query of it costs. */
export async function hasSequenceDataFunction(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>(
    `select to_regprocedure('pg_get_sequence_data(regclass)') is not null as exists`,
  )
  return rows[0]?.exists === true
}

/** Lists the relations that have parts. */
export async function listParts(client: Queryable): Promise<Parts> {
  const { rows } = await client.query<Parts>(
    `with ${relationCte()}
     select array(select name from relation where relkind in ('r', 'p', 'v', 'm', 'f')
                   order by name) as relations,
            exists (select from relation where relkind = 'c') as "hasCompositeTypes"`,
  )
  return rows[0] as Parts
}
