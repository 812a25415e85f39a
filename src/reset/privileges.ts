import { RELATION_CTE } from '../catalog/scope.ts'
import type { Queryable } from '../postgres/client.ts'

/**
 * Lists what this role may not reset: it owns neither the relation nor the rights that would do. What is
 * not of the migrations' is not to be reset at all.
 */
export async function listForbidden(client: Queryable): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `with ${RELATION_CTE}
     select name
       from relation
      where relkind in ('r', 'p', 'm', 'S')
        and name in (select name from provisioning.baseline_object
                      where kind in ('table', 'materialised view', 'sequence'))
        and not pg_has_role(relowner, 'usage')
        and not case
              when relkind in ('r', 'p') then
                has_table_privilege(oid, 'select') and has_table_privilege(oid, 'insert')
                and has_table_privilege(oid, 'delete') and not row_security_active(oid)
                and not exists (select from pg_trigger where tgrelid = oid and not tgisinternal)
                and not exists (select from pg_rewrite where ev_class = oid)
              when relkind = 'S' then
                has_sequence_privilege(oid, 'select') and has_sequence_privilege(oid, 'update')
                and (select seqcache = 1 from pg_sequence where seqrelid = oid)
              else false
            end
      order by name`,
  )
  return rows.map((row) => row.name)
}
