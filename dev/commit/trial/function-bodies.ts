import type { Queryable } from '../../../src/postgres/client.ts'
import { bodyFaultsSql, findPlpgsqlCheck, installPlpgsqlCheck } from '../../plpgsql-check.ts'

/** What plpgsql_check reports about a function. */
export interface BodyFault {
  readonly schema: string
  readonly routine: string
  /** In the body; 1 is the line of the quote that opens it. */
  readonly line: number | null
  readonly level: string
  readonly message: string
  /** The same for the same fault, even if its line moved. */
  readonly key: string
}

/** Where plpgsql_check is installed in the shadow database, unless the migrations install it. */
const SCHEMA = 'body_check_of_commit'

/** The schema of plpgsql_check in the shadow database, quoted, or why the bodies cannot be checked. */
export type BodyCheck = { readonly schema: string } | { readonly problem: string }

/** Installs plpgsql_check in the shadow database, unless the migrations have. */
export async function prepareBodyCheck(client: Queryable): Promise<BodyCheck> {
  const available = await findPlpgsqlCheck(client)
  if (available === undefined) return { problem: 'this server has no plpgsql_check' }
  if (available.schema !== null) return { schema: available.schema }
  try {
    await installPlpgsqlCheck(client, SCHEMA)
    return { schema: SCHEMA }
  } catch (error) {
    return {
      problem: `plpgsql_check could not be installed in the shadow database (${(error as Error).message})`,
    }
  }
}

/** Checks the bodies of all PL/pgSQL functions: a migration may change what unchanged ones use. */
export async function findBodyFaults(client: Queryable, schema: string): Promise<BodyFault[]> {
  const { rows } = await client.query<BodyFault>(
    bodyFaultsSql(
      schema,
      `level, concat_ws(': ', message, detail) as message,
       concat_ws(' ', nspname, proname, tgrelid, level, message, detail, query) as key`,
    ),
  )
  return rows
}
