import { RELATION_CTE } from '../catalog/scope.ts'
import type { Queryable } from '../postgres/client.ts'

/**
 * Lists the relations of the baseline that this role may not reset: it is not their owner, and has not
 * all the privileges that would do instead.
 */
export async function listForbidden(client: Queryable): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `with ${RELATION_CTE}
     select name
       from relation
      where relkind in ('r', 'p', 'm', 'S')
        and name in (select name from provisioning.baseline_object
                      where kind in ('table', 'materialized view', 'sequence'))
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
