import { isExtensionData, isOneOf, type OtherSchemas, relationCte } from '../catalog/scope.ts'
import type { Queryable } from '../postgres/client.ts'

/**
 * Lists the relations of the baseline, and of schemas to be emptied, that this role may not reset: it is not
 * their owner, and has not all the privileges that would do instead. An extension's tables that it may only
 * read are not among them: a reset refuses to restore them once they have changed.
 */
export async function listForbidden(client: Queryable, others: OtherSchemas): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `with ${relationCte({ leftOut: others.ignored })}
     select name
       from relation
      where relkind in ('r', 'p', 'm', 'S')
        and (name in (select name from provisioning.baseline_object
                       where kind in ('table', 'materialized view', 'sequence'))
             or relkind <> 'm' and not relispartition and ${isOneOf('nspname', others.emptied)})
        and not (relkind in ('r', 'p') and nspname <> 'pgmq' and ${isExtensionData('relation.oid')})
        and not pg_has_role(relowner, 'usage')
        and not case
              when relkind in ('r', 'p') then
                has_table_privilege(relation.oid, 'select') and has_table_privilege(relation.oid, 'insert')
                and has_table_privilege(relation.oid, 'delete') and not row_security_active(relation.oid)
                and not exists (select from pg_trigger where tgrelid = relation.oid and not tgisinternal)
                and not exists (select from pg_rewrite where ev_class = relation.oid)
              when relkind = 'S' then
                has_sequence_privilege(relation.oid, 'select') and has_sequence_privilege(relation.oid, 'update')
                and (select seqcache = 1 from pg_sequence where seqrelid = relation.oid)
              else false
            end
      order by name`,
  )
  return rows.map((row) => row.name)
}
