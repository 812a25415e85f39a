import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { readCommittedMigrations } from '../migrations/files/committed.ts'
import type { AppliedMigration } from '../migrations/history.ts'

/**
 * Calls `work` with a migrations folder whose committed files are those of this history: the given one, or
 * for as long as the work takes, one with links to its files.
 */
export async function withFilesOf<T>(
  migrationsDir: string,
  applied: readonly AppliedMigration[],
  work: (migrationsDir: string) => Promise<T>,
): Promise<T> {
  const committed = await readCommittedMigrations(migrationsDir)
  if (committed.length === applied.length) return work(migrationsDir)
  const outer = await mkdtemp(join(tmpdir(), 'commandbus-db-'))
  try {
    // `.gmrc` is in the folder or in the one above it, and names files relative to the folder.
    const folder = join(outer, basename(migrationsDir))
    await mkdir(join(folder, 'committed'), { recursive: true })
    await linkAll(migrationsDir, folder, (name) => name !== 'committed')
    await linkAll(dirname(migrationsDir), outer, (name) => name === '.gmrc')
    const wanted = new Set(committed.slice(0, applied.length).map(({ filename }) => filename))
    await linkAll(join(migrationsDir, 'committed'), join(folder, 'committed'), (name) =>
      wanted.has(name),
    )
    return await work(folder)
  } finally {
    await rm(outer, { recursive: true, force: true })
  }
}

async function linkAll(from: string, to: string, isWanted: (name: string) => boolean) {
  for (const name of await readdir(from)) {
    if (isWanted(name)) await symlink(join(from, name), join(to, name))
  }
}
