import { readIdentity } from '../src/database/state.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import { openClient } from '../src/postgres/client.ts'
import type { CommandRun } from './tool.ts'

const TIMEOUT_MS = 10_000

export interface ShadowUrls {
  readonly shadowUrl: string
  /** Of the database from which it is dropped and created. */
  readonly rootUrl: string
}

/**
 * Finds the shadow database. Rejects unless there is one that the migration tool may drop and create again. The tool
 * itself compares URLs as texts, so it would drop the database of `DATABASE_URL` under another spelling.
 */
export async function findShadow({
  database: { url, shadowUrl, rootUrl },
}: CommandRun): Promise<ShadowUrls> {
  if (shadowUrl === undefined || rootUrl === undefined) {
    throw new ServiceError(
      'shadow_database_missing',
      'with DATABASE_URL, this command also needs SHADOW_DATABASE_URL (a database that it may drop and ' +
        'create again) and ROOT_DATABASE_URL (another one, from which it does so)',
    )
  }
  const shadow = await identify(shadowUrl)
  // It does not exist yet, or the tool reports what is wrong with it.
  if (shadow === undefined) return { shadowUrl, rootUrl }
  for (const [name, other] of [
    ['DATABASE_URL', url],
    ['ROOT_DATABASE_URL', rootUrl],
  ] as const) {
    if ((await identify(other)) !== shadow) continue
    throw new ServiceError(
      'shadow_database_not_separate',
      `SHADOW_DATABASE_URL leads to the same database as ${name}, and this command drops it; expected a ` +
        'database of its own, which need not exist yet',
    )
  }
  return { shadowUrl, rootUrl }
}

async function identify(url: string): Promise<string | undefined> {
  try {
    const client = await openClient(url, 'development', { timeoutMs: TIMEOUT_MS })
    return await readIdentity(client).finally(() => client.end())
  } catch {
    return undefined
  }
}
