import { type Definition, definitionsSql } from '../../src/catalog/definitions/definitions.ts'
import type { Queryable } from '../../src/postgres/client.ts'

/** An object of the database, or a part of one, with all that defines it and its comment. */
export interface SchemaObject extends Definition {
  readonly comment: string | null
  /** The number of a column; 0 for anything else. */
  readonly position: number
}

/**
 * Reads the objects of the user's schemas, in an order that is the same on every server: columns as they
 * stand in their table, everything else by kind and name. An empty schema public is left out.
 */
export async function readObjects(client: Queryable): Promise<SchemaObject[]> {
  const { rows } = await client.query<SchemaObject>(`
    select kind, name, schema, parent, aspects, definition.objsubid as position, description as comment
      from (${definitionsSql()}) as definition
      left join pg_description
        on (objoid, classoid, pg_description.objsubid) = (objid, classid, definition.objsubid)
     order by kind collate "C", parent collate "C", position, name collate "C"`)
  const isUsed = (schema: string) => rows.some(({ parent }) => parent === schema)
  return rows.filter(({ kind, name }) => kind !== 'schema' || name !== 'public' || isUsed(name))
}
