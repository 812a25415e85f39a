import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** With these the service would migrate the application's database, or not be understood. */
const NEVER = /^(?:SHADOW_|ROOT_)?DATABASE_URL(?:_FILE)?$|^LOG_LEVEL$/

/**
 * Lists the environment variables that the `.gmrc` of these migrations takes placeholders from: those with
 * `"!ENV"`. The file is in the folder or in the one above it.
 */
export function listPlaceholderVariables(migrationsDir: string): string[] {
  return [migrationsDir, dirname(migrationsDir)]
    .map((folder) => readIfThere(join(folder, '.gmrc')))
    .flatMap((text) => [...text.matchAll(/["']:([A-Z][0-9A-Z_]+)["']\s*:\s*["']!ENV["']/g)])
    .flatMap(([, name]) => (name === undefined || NEVER.test(name) ? [] : [name]))
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // The service reads the folder, and reports what is missing.
    return ''
  }
}
