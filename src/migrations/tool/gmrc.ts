import { isUtf8 } from 'node:buffer'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { wrongSettingsError } from '../../errors/wrong-settings.ts'

/** A `.gmrc` that was parsed, and not yet validated. */
export interface Gmrc {
  readonly path: string
  readonly content: unknown
}

/**
 * Reads the `.gmrc` in the migrations folder, so that it can be mounted together with the folder, or
 * else the one beside the folder, where graphile-migrate's own command looks. Undefined if neither
 * exists.
 */
export async function readGmrc(migrationsDir: string): Promise<Gmrc | undefined> {
  const path = findFile(migrationsDir)
  if (path === undefined) return undefined
  if (!path.endsWith('.gmrc')) {
    throw wrongSettingsError([{ name: path, given: 'a program', expected: 'a file .gmrc (JSON5)' }])
  }
  try {
    const bytes = readFileSync(path)
    if (!isUtf8(bytes)) throw new Error('a file that is not UTF-8')
    const text = bytes.toString('utf8')
    return { path, content: parseUsual(text) ?? (await import('json5')).default.parse(text) }
  } catch (error) {
    throw wrongSettingsError([
      { name: path, given: (error as Error).message, expected: 'a readable JSON5 file' },
    ])
  }
}

/**
 * Parses the usual file: JSON with comments on lines of their own. Undefined for any other, which json5 reads in two
 * milliseconds, as it would this one.
 */
function parseUsual(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^[ \t]*\/\/.*$/gm, ''))
  } catch {
    return undefined
  }
}

function findFile(migrationsDir: string): string | undefined {
  const folders = [migrationsDir, dirname(migrationsDir)]
  const names = ['.gmrc', '.gmrc.js', '.gmrc.cjs']
  return folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path))
}
