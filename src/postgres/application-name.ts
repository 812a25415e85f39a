/** How the service's sessions appear in pg_stat_activity: `commandbus-db`, and what each one is for. */
export function applicationName(purpose?: string): string {
  return ['commandbus-db', purpose].filter(Boolean).join(' ')
}
