import { sql } from '../postgres/sql-text.ts'
import { isOneOf, relationCte } from './scope.ts'

/**
 * Selects a text that changes whenever the tables or sequences of these schemas do, or what a reset has to
 * know of them: their triggers, rules, row security and foreign keys.
 */
export function emptiedStateSql(schemas: readonly string[]): string {
  return sql`
    with ${relationCte({ where: isOneOf('nspname', schemas) })}
    select md5(string_agg(
             concat_ws(
               ' ',
               relation.oid, relispartition, relrowsecurity, relforcerowsecurity,
               (select string_agg(oid || tgenabled::text, ' ' order by oid)
                  from pg_trigger
                 where tgrelid = relation.oid and not tgisinternal),
               (select string_agg(oid || ev_enabled::text, ' ' order by oid)
                  from pg_rewrite
                 where ev_class = relation.oid),
               (select string_agg(oid::text, ' ' order by oid)
                  from pg_constraint
                 where contype = 'f' and relation.oid in (conrelid, confrelid))),
             ', ' order by relation.oid))
      from relation
     where relkind in ('r', 'p', 'S')`
}
