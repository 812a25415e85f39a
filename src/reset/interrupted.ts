import type { QueryResult } from 'pg'
import { isDisposable } from '../baseline/disposable.ts'
import type { Queryable } from '../postgres/client.ts'

/** For people: what is the matter, and what helps. */
export const BROKEN_OFF =
  'a reset broke off after it had set sequences, which may be behind their tables; POST /reset mends that'

/**
 * True where a reset has begun to set sequences, which is done for good, and did not commit. Waits for
 * one that is under way, which looks the same until it commits.
 */
export async function isBrokenOff(client: Queryable): Promise<boolean> {
  if (!(await isDisposable(client))) return false
  // One message is one transaction: nothing that others ask of this session gets in between.
  const results: unknown = await client.query(
    `lock table provisioning.disposable in row exclusive mode;
     select exists (select from provisioning.baseline, provisioning.reset_attempt
                     where last_attempt <> last_value) as "brokenOff"`,
  )
  const [, { rows }] = results as [unknown, QueryResult<{ brokenOff: boolean }>]
  return rows[0]?.brokenOff === true
}
