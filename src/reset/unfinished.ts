import { isDisposable } from './guard.ts'
import type { Queryable } from './store.ts'

/** For people: what is the matter, and what helps. */
export const BROKEN_OFF =
  'a reset broke off after it had set sequences, which may be behind their tables; POST /reset mends that'

/**
 * True where a reset has begun to set sequences, which is done for good, and did not commit. Waits for
 * one that is under way, which looks the same until it commits.
 */
export async function isBrokenOff(client: Queryable): Promise<boolean> {
  if (!(await isDisposable(client))) return false
  await client.query('begin; lock table provisioning.disposable in row exclusive mode')
  const { rows } = await client.query<{ brokenOff: boolean }>(
    `select exists (select from provisioning.baseline, provisioning.reset_attempt
                     where last_attempt <> last_value) as "brokenOff"`,
  )
  await client.query('commit')
  return rows[0]?.brokenOff === true
}
