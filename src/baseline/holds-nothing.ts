import { USER_SCHEMAS } from '../catalog/scope.ts'
import type { Queryable } from '../postgres/client.ts'

/** The condition for schemas that migrations may have made. An empty public schema is PostgreSQL's default, and nobody's. */
export const MADE_SCHEMAS = `${USER_SCHEMAS}
     and (nspname <> 'public'
          or exists (select from pg_catalog.pg_class where relnamespace = pg_namespace.oid)
          or exists (select from pg_catalog.pg_proc where pronamespace = pg_namespace.oid)
          or exists (select from pg_catalog.pg_type where typnamespace = pg_namespace.oid))`

/** The condition that there is nothing to record: no definition is read then. */
export const HOLDS_NOTHING = `not exists (select from pg_catalog.pg_namespace where ${MADE_SCHEMAS})
       and not exists (select from pg_catalog.pg_default_acl)
       and not exists (select from pg_catalog.pg_publication)
       and pg_catalog.to_regnamespace('pgmq') is null`

/** Whether there is nothing to record yet. Then `beginRecording` can run beside a migration, whatever that locks. */
export async function holdsNothing(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ isEmpty: boolean }>(`select ${HOLDS_NOTHING} as "isEmpty"`)
  return rows[0]?.isEmpty === true
}
