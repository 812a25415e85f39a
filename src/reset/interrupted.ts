import type { QueryResult } from 'pg'
import { isDisposable } from '../baseline/disposable.ts'
import type { Queryable } from '../postgres/client.ts'

/** The readiness detail after a reset was interrupted: what happened, and the remedy. */
export const INTERRUPTED =
  'a reset was interrupted after it had set sequences, which may be behind their tables; POST /reset repairs that'

/**
 * True if a reset has set sequences, which no rollback undoes, and did not commit. A reset that is
 * running looks the same until it commits, so this waits for it.
 */
export async function wasInterrupted(client: Queryable): Promise<boolean> {
  if (!(await isDisposable(client))) return false
  // One message is one transaction: no other query of this session can run between the two.
  const results: unknown = await client.query(
    `lock table provisioning.disposable in row exclusive mode;
     select exists (select from provisioning.baseline, provisioning.reset_attempt
                     where last_attempt <> last_value) as "wasInterrupted"`,
  )
  const [, { rows }] = results as [unknown, QueryResult<{ wasInterrupted: boolean }>]
  return rows[0]?.wasInterrupted === true
}
