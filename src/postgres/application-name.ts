/** How the service's sessions begin to appear in pg_stat_activity. */
export const SERVICE_NAME = 'commandbus-db'

/** How the service's sessions appear in pg_stat_activity: `commandbus-db`, and what each one is for. */
export function applicationName(purpose?: string): string {
  return [SERVICE_NAME, purpose].filter(Boolean).join(' ')
}
