import { ServiceError } from '../errors/service-error.ts'
import { openClient, type Queryable } from '../postgres/client.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import type { TestServer } from './server.ts'

interface Role {
  readonly name: string
  readonly mayCreate: boolean
}

/** Reads the role of a session. */
async function readRole(client: Queryable): Promise<Role> {
  const { rows } = await client.query<Role>(
    `select rolname as name, rolcreatedb or rolsuper as "mayCreate"
       from pg_catalog.pg_roles
      where rolname = session_user`,
  )
  return rows[0] ?? { name: '', mayCreate: false }
}

/** Opens a session that may create databases: by DATABASE_URL, or else by ROOT_DATABASE_URL. */
export async function openAsCreator(database: TestServer['database']): Promise<SessionClient> {
  const client = await database.open('keeper')
  const role = await readRole(client)
  if (role.mayCreate) return client
  await client.end()
  if (database.rootUrl === undefined) throw mayNotCreateError(role.name)
  const root = await openClient(database.rootUrl, 'keeper')
  if ((await readRole(root)).mayCreate) return root
  await root.end()
  throw mayNotCreateError(role.name)
}

/** The role that has to own what another one creates; undefined where it creates its databases itself. */
export async function findOwner({ pool }: TestServer['database']): Promise<string | undefined> {
  const { name, mayCreate } = await readRole(pool)
  return mayCreate ? undefined : name
}

function mayNotCreateError(role: string): ServiceError {
  return new ServiceError(
    'privilege_missing',
    `test databases need a role that may create databases, and ${role} may not: run alter role "${role}" ` +
      'createdb, or set ROOT_DATABASE_URL to a role that may',
  )
}
