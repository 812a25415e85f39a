import { relative } from 'node:path'
import { watch } from 'chokidar'

/** How often each file is looked at. */
const POLL_MS = 100

/** Some editors write a file piece by piece: how long it has to stay the same. */
const SETTLED_MS = 50

export interface Watcher {
  close(): Promise<void>
}

/**
 * Calls `onChange` with the path of each SQL file below the migrations folder that was saved, added or removed.
 * It polls: the events of a file system do not arrive through every bind mount or network folder, and are lost
 * where git replaces whole folders. A hundred files cost it about one percent of a processor.
 */
export async function watchMigrations(
  migrationsDir: string,
  onChange: (file: string) => void,
): Promise<Watcher> {
  const watcher = watch(migrationsDir, {
    usePolling: true,
    interval: POLL_MS,
    ignoreInitial: true,
    awaitWriteFinish: { stabilityThreshold: SETTLED_MS, pollInterval: SETTLED_MS / 2 },
    ignored: (path, stats) => stats?.isFile() === true && !path.endsWith('.sql'),
  })
  const report = (path: string) => onChange(relative(migrationsDir, path))
  for (const event of ['add', 'change', 'unlink'] as const) watcher.on(event, report)
  await new Promise<void>((resolve) => watcher.once('ready', () => resolve()))
  return watcher
}
