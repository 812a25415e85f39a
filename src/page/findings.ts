import type { Status } from '../http/schemas/status.ts'
import type { FINDINGS } from '../status/remedies.ts'

/** What deserves attention although the service is ready. */
export function listFindings(status: Status): (keyof typeof FINDINGS)[] {
  if (status.state !== 'ready') return []
  const isPending = status.migrations.pending.length > 0
  return [
    ...(status.drift.inSync === false ? (['drift'] as const) : []),
    ...(status.detail?.startsWith('ahead by') ? (['ahead'] as const) : []),
    ...(isPending ? (['pending'] as const) : []),
  ]
}
