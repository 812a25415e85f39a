import type { Difference } from '../../src/drift/describe.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { sql } from '../../src/postgres/sql-text.ts'

/** A fingerprint of each comment, by the address of its object: `1259/16423/2`. */
export type Comments = Readonly<Record<string, string>>

/** The first id of an object that is not PostgreSQL's own. */
const FIRST_ID = 16384

/** An expression: the comments of all objects, as `Comments`. */
export const COMMENTS_SQL = sql`
  (select coalesce(jsonb_object_agg(concat_ws('/', classoid, objoid, objsubid), md5(description)), '{}')
     from pg_description
    where objoid >= ${FIRST_ID})`

/** Describes which comments differ; none of objects that were dropped. A comment is no part of a definition. */
export async function describeComments(
  client: Queryable,
  before: Comments,
  after: Comments,
): Promise<Difference[]> {
  const addresses = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  const changed = addresses.filter((address) => before[address] !== after[address])
  if (changed.length === 0) return []
  const { rows } = await client.query<{ address: string; object: string }>(
    sql`
      select address, object
        from unnest($1::text[]) as address,
             string_to_array(address, '/') as part,
             pg_describe_object(part[1]::oid, part[2]::oid, part[3]::int) as object
       where object is not null
       order by object`,
    [changed],
  )
  return rows.map(({ address, object }) => {
    const [kind = '', ...name] = object.split(' ')
    const change =
      before[address] === undefined ? 'added' : after[address] === undefined ? 'dropped' : 'changed'
    return { kind: `comment of ${kind}`, name: name.join(' '), change, detail: '' }
  })
}
