import type { FINDINGS } from '../status/remedies.ts'
import type { PageStatus } from './data.ts'

/** What deserves attention although the service is ready. */
export function listFindings(status: PageStatus): (keyof typeof FINDINGS)[] {
  if (status.state !== 'ready') return []
  const isPending = status.migrations.pending.length > 0
  return [
    ...(status.drift.inSync === false ? (['drift'] as const) : []),
    ...(status.detail?.startsWith('ahead by') ? (['ahead'] as const) : []),
    ...(isPending ? (['pending'] as const) : []),
  ]
}
