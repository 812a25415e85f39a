/** The embedded server's superuser. */
export const SUPERUSER = 'postgres'

/** Includes the password: never log it. */
export function serverUrl(port: number, database: string, password: string): string {
  return `postgres://${SUPERUSER}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`
}
