import type { Client } from 'pg'
import { isUserSchema, type OtherSchemas } from '../catalog/scope.ts'
import { isInsufficientPrivilege } from '../postgres/errors.ts'
import { notOwnerError } from './errors.ts'

interface ExtensionRelation {
  readonly name: string
  /** pg_class.relkind */
  readonly kind: string
  /** `where …`, or empty. */
  readonly condition: string
  readonly isOwned: boolean
}

/**
 * Deletes what others put into the tables of extensions, so that they are as `create extension` left them: the
 * rows that pg_dump would dump, by the condition that the extension declares. PGMQ's list is emptied with its
 * queues.
 */
export async function emptyExtensionData(client: Client, others: OtherSchemas): Promise<void> {
  const leftOut = ['pgmq', ...others.ignored]
  const { rows } = await client.query<ExtensionRelation>(
    `select format('%I.%I', nspname, relname) as name, relkind as kind, condition,
            pg_has_role(relowner, 'usage') as "isOwned"
       from pg_extension
      cross join unnest(extconfig, extcondition) as data (oid, condition)
       join pg_class on pg_class.oid = data.oid
       join pg_namespace on pg_namespace.oid = relnamespace
      where ${isUserSchema('nspname', leftOut)}
        and relkind in ('r', 'p', 'S')
        and has_table_privilege(pg_class.oid, 'select')
      order by name`,
  )
  const filled: string[] = []
  for (const { name, condition } of rows.filter(({ kind }) => kind !== 'S')) {
    const { rowCount } = await client.query(`select from ${name} ${condition} limit 1`)
    if (rowCount) filled.push(`delete from ${name} ${condition}`)
  }
  try {
    // One statement, after which the foreign keys between them are checked.
    const parts = filled.map((statement, index) => `part_${index} as (${statement})`)
    if (parts.length > 0) await client.query(`with ${parts.join(', ')} select`)
    for (const { name, kind, isOwned } of rows) {
      // Not by setval, which a trial could not roll back.
      if (kind === 'S' && isOwned) await client.query(`alter sequence ${name} restart`)
    }
  } catch (error) {
    if (isInsufficientPrivilege(error)) throw notOwnerError([(error as Error).message])
    throw error
  }
}
