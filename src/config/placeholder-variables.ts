import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Environment } from './env.ts'

/**
 * Reads the variables that a `.gmrc` of these migrations may ask for with `"!ENV"`: those with the name
 * of a placeholder in it. They are read with the settings, before the file is parsed, so that secrets
 * among them are masked from the first line of the log.
 */
export function readPlaceholderVariables(
  env: Environment,
  migrationsDir: string,
): Record<string, string> {
  const variables: Record<string, string> = {}
  for (const folder of [migrationsDir, dirname(migrationsDir)]) {
    const text = readIfThere(join(folder, '.gmrc'))
    if (!text.includes('!ENV')) continue
    for (const [, name = ''] of text.matchAll(/:([A-Z][0-9A-Z_]+)/g)) {
      // As for graphile-migrate, an empty value counts as not set.
      const value = env[name]
      if (value) variables[name] = value
    }
  }
  return variables
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // If a migration is pending, the file is read again, and this is reported.
    return ''
  }
}
