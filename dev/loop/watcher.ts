import { basename, relative } from 'node:path'
import { watch } from 'chokidar'

/** How often each file is looked at. */
const POLL_MS = 100

/** Some editors write a file piece by piece: how long it has to stay the same. */
const SETTLED_MS = 50

export interface Watcher {
  close(): Promise<void>
}

/**
 * Calls `onChange` with the path of each SQL file below the migrations folder that was saved, added or removed, once
 * or twice. It uses the events of the file system, which are quick, and polls as well: events do not arrive through
 * every bind mount or network folder, and are lost where git replaces whole folders. To poll a hundred files costs
 * about one percent of a processor.
 */
export async function watchMigrations(
  migrationsDir: string,
  onChange: (file: string) => void,
  { usesEvents = true }: { readonly usesEvents?: boolean } = {},
): Promise<Watcher> {
  const watchers = (usesEvents ? [true, false] : [true]).map((usePolling) =>
    watch(migrationsDir, {
      usePolling,
      interval: POLL_MS,
      ignoreInitial: true,
      awaitWriteFinish: { stabilityThreshold: SETTLED_MS, pollInterval: SETTLED_MS / 2 },
      ignored: (path, stats) =>
        basename(relative(migrationsDir, path)).startsWith('.') ||
        (stats?.isFile() === true && !path.endsWith('.sql')),
    }),
  )
  const report = (path: string) => onChange(relative(migrationsDir, path))
  const started = watchers.map(async (watcher) => {
    for (const event of ['add', 'change', 'unlink'] as const) watcher.on(event, report)
    await new Promise<void>((resolve) => {
      watcher.once('ready', resolve)
      // The machine's limit of watched files is reached: polling still finds the change.
      watcher.on('error', () => resolve())
    })
  })
  await Promise.all(started)
  return {
    async close() {
      await Promise.all(watchers.map((watcher) => watcher.close()))
    },
  }
}
