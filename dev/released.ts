import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ReleasedMigration {
  readonly filename: string
  readonly hash: string
  /** The release that brought it: `0.2.0`. */
  readonly version: string
}

/** Reads which committed migrations are released, and so frozen: none where the folder has no `released.json`. */
export function readReleased(migrationsDir: string): ReleasedMigration[] {
  const path = join(migrationsDir, 'released.json')
  if (!existsSync(path)) return []
  const releases: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(
    readFileSync(path, 'utf8'),
  )
  return Object.entries(releases).flatMap(([version, files]) =>
    Object.entries(files).map(([filename, hash]) => ({ filename, hash, version })),
  )
}
