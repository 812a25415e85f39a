import { ServiceError } from '../../src/errors/service-error.ts'
import { openClient } from '../../src/postgres/client.ts'
import { parseConnectionUrl } from '../../src/postgres/connection/url.ts'

/** The first key of the lock; the second one is made of the shadow database's name. */
const COMMIT_LOCK = 20261127

/**
 * Runs `work` while no other commit or uncommit uses the shadow database. PostgreSQL releases the lock with the session, so
 * a command that is killed leaves none. Rejects with the code commit_in_progress if there is another.
 */
export async function withCommitLock<T>(
  { rootUrl, shadowUrl }: { readonly rootUrl: string; readonly shadowUrl: string },
  command: string,
  work: () => Promise<T>,
): Promise<T> {
  const { database: shadow } = parseConnectionUrl(shadowUrl)
  const client = await openClient(rootUrl, `${command} of process ${process.pid}`)
  client.on('error', () => {})
  try {
    const { rows } = await client.query<{ acquired: boolean }>(
      'select pg_try_advisory_lock($1, hashtext($2)) as acquired',
      [COMMIT_LOCK, shadow],
    )
    if (rows[0]?.acquired !== true) {
      throw inProgressError(command, shadow, await findHolder(client, shadow))
    }
    return await work()
  } finally {
    await client.end().catch(() => {})
  }
}

async function findHolder(client: Awaited<ReturnType<typeof openClient>>, shadow: string) {
  const { rows } = await client.query<{ holder: string }>(
    `select format('%s, since %s', application_name, to_char(backend_start, 'HH24:MI:SS')) as holder
       from pg_locks
       join pg_stat_activity using (pid)
      where locktype = 'advisory' and granted
        and classid = $1 and objid::bigint = hashtext($2)::bigint & 4294967295`,
    [COMMIT_LOCK, shadow],
  )
  return rows[0]?.holder
}

function inProgressError(
  command: string,
  shadow: string,
  holder = 'another command',
): ServiceError {
  return new ServiceError(
    'commit_in_progress',
    `${command} needs the shadow database ${shadow} for itself, and another db:commit or db:uncommit uses it (${holder}); ` +
      'nothing was changed: run this again when that one has ended',
  )
}
