import { sql } from '../postgres/sql-text.ts'

/**
 * True for a table, or a partitioned one, in which PostgreSQL refuses to delete rows: a publication has to
 * publish the deletes, and the table has no key that tells which row it was. One whose publication has a
 * row filter or a column list counts as well, because the key may not have the columns that these need.
 * `oid` is an expression.
 */
export function refusesDeletes(oid: string): string {
  return sql`
    exists (
      select from pg_class as leaf
       where (leaf.oid = ${oid} or leaf.oid in (select relid from pg_partition_tree(${oid})))
         and leaf.relkind = 'r'
         and leaf.relpersistence = 'p'
         and exists (
               select from pg_publication
                 left join pg_publication_rel
                   on prpubid = pg_publication.oid
                  and prrelid in (select leaf.oid union all select relid from pg_partition_ancestors(leaf.oid))
                where pubdelete
                  and (puballtables
                       or prrelid is not null
                       or exists (
                            select from pg_publication_namespace
                              join pg_class as published on relnamespace = pnnspid
                             where pnpubid = pg_publication.oid
                               and published.oid in (
                                     select leaf.oid union all select relid from pg_partition_ancestors(leaf.oid))))
                  and (prqual is not null
                       or prattrs is not null
                       or not case leaf.relreplident
                                when 'f' then true
                                when 'd' then exists (
                                  select from pg_index
                                   where indrelid = leaf.oid and indisprimary and indimmediate and indisvalid)
                                when 'i' then exists (
                                  select from pg_index
                                   where indrelid = leaf.oid and indisreplident and indisvalid)
                                else false
                              end)))`
}
