import { readFileSync } from 'node:fs'
import { STORE_SCHEMA } from '../catalog/scope.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Queryable } from '../postgres/client.ts'
import { RECORDER_SCRIPT } from './recorder-script.ts'
import { TEST_DATABASE_TABLE } from './test-database-store.ts'

/** What a reset needs. Beside this module: in the build as well as in the flat folder of the bundle. */
export const STORE_SCRIPT = readFileSync(new URL('store.sql', import.meta.url), 'utf8')

/**
 * Throws if the schema holds anything that the service does not create. A reset can neither restore nor
 * drop such an object, and must not replace it.
 */
export async function assertSchemaIsOwn(client: Queryable): Promise<void> {
  const foreign = await listForeignObjects(client)
  if (foreign.length > 0) throw schemaTakenError(foreign)
}

/** Lists what is in the schema and not the service's own, such as `table orders`. */
export async function listForeignObjects(client: Queryable): Promise<string[]> {
  const { rows } = await client.query<{ object: string }>(
    `with own as (
       select kind, name, comment
         from pg_catalog.jsonb_to_recordset($1) as own (kind text, name text, comment text)),
     found (kind, name, comment, classid, objid) as (
       select case relkind when 'r' then 'table' when 'v' then 'view' when 'S' then 'sequence'
                           else 'relation' end,
              relname::text, pg_catalog.obj_description(oid, 'pg_class'),
              'pg_catalog.pg_class'::pg_catalog.regclass, oid
         from pg_catalog.pg_class
        where relnamespace = pg_catalog.to_regnamespace('${STORE_SCHEMA}')
          and relkind not in ('i', 'I')
       union all
       select 'function', proname::text, pg_catalog.obj_description(oid, 'pg_proc'),
              'pg_catalog.pg_proc'::pg_catalog.regclass, oid
         from pg_catalog.pg_proc
        where pronamespace = pg_catalog.to_regnamespace('${STORE_SCHEMA}')
       union all
       select 'type', typname::text, null, 'pg_catalog.pg_type'::pg_catalog.regclass, oid
         from pg_catalog.pg_type
        where typnamespace = pg_catalog.to_regnamespace('${STORE_SCHEMA}')
          and typrelid = 0 and typelem = 0)
     select distinct pg_catalog.concat_ws(' ', kind, name) as object
       from found
      where not exists (select from own where (own.kind, own.name, own.comment)
                                              = (found.kind, found.name, found.comment))
        -- A part of another object, such as the sequence of an identity column, is found with its whole.
        and not exists (select from pg_catalog.pg_depend
                         where (pg_depend.classid, pg_depend.objid) = (found.classid, found.objid)
                           and deptype in ('a', 'i'))
      order by object`,
    [
      JSON.stringify([
        ...[STORE_SCRIPT, RECORDER_SCRIPT].flatMap(listOwnObjects),
        TEST_DATABASE_TABLE,
      ]),
    ],
  )
  return rows.map(({ object }) => object)
}

/** The objects that the script creates in the schema, each with its comment. */
export function listOwnObjects(script: string) {
  const comment = /^comment on (\w+) provisioning\.(\w+)(?:\(.*?\))? is\s+'((?:[^']|'')*)';$/gm
  return [...script.matchAll(comment)].map(([, kind, name, text]) => ({
    kind,
    name,
    comment: text?.replaceAll("''", "'"),
  }))
}

function schemaTakenError(objects: readonly string[]): ServiceError {
  return new ServiceError(
    'reset_schema_taken',
    `a reset needs the schema ${STORE_SCHEMA} for itself, and it holds objects that this service did not make: ` +
      `${objects.slice(0, 5).join(', ')}${objects.length > 5 ? ` and ${objects.length - 5} more` : ''}; ` +
      'they were left as they are: move them to another schema, or set RESET_ENABLED=false',
    { extensions: { objects } },
  )
}
