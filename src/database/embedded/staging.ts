import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { ServiceError } from '../../errors/service-error.ts'
import type { Account } from './account.ts'

/**
 * Where root keeps what PostgreSQL's user could not reach at its own place. Only root can write
 * above it, so nobody can put something of theirs in its way, as they could in a folder for
 * temporary files; and it survives a restart of the machine.
 */
export const STAGING_DIR = '/var/lib/commandbus-db'

/** Whether the user may enter all these folders and read all these files. */
export function canReach(account: Account, paths: readonly string[]): boolean {
  const script =
    'for path; do if test -d "$path"; then test -x "$path"; else test -r "$path"; fi || exit 1; done'
  const { status, error } = spawnSync('/bin/sh', ['-c', script, 'sh', ...paths], {
    ...account,
    cwd: '/',
    env: {},
  })
  if (error === undefined) return status === 0
  throw new ServiceError(
    'embedded_no_account',
    `PostgreSQL does not run as root, and root may not become user ${account.uid} here ` +
      `(${error.message}): start the service as a user other than root, or set DATABASE_URL`,
    { cause: error },
  )
}

/** Makes a folder for root to write and all to read, whatever the umask; refuses anybody else's. */
export function makeSharedFolder(path: string): void {
  if (!existsSync(path)) {
    makeSharedFolder(dirname(path))
    mkdirSync(path)
    chmodSync(path, 0o755)
  }
  if (!path.startsWith(STAGING_DIR)) return
  const { uid, mode } = lstatSync(path)
  if (lstatSync(path).isDirectory() && uid === 0 && (mode & 0o022) === 0) return
  throw new ServiceError(
    'embedded_staging_unsafe',
    `${path} has to be a folder that only root can write to; remove it, or start the service as a ` +
      'user other than root',
  )
}

/**
 * Copies a folder, readable for all, to a place where it appears complete or not at all, and says
 * where. What is there already is kept or replaced.
 */
export function copyForAll(from: string, to: string, existing: 'keep' | 'replace'): string {
  makeSharedFolder(dirname(to))
  if (existing === 'keep' && existsSync(to)) return to
  const fresh = mkdtempSync(`${to}.new-`)
  try {
    cpSync(from, fresh, { recursive: true, verbatimSymlinks: true })
    chmodSync(fresh, 0o755)
    for (const entry of readdirSync(fresh, { recursive: true, withFileTypes: true })) {
      if (!entry.isSymbolicLink()) chmodSync(join(entry.parentPath, entry.name), 0o755)
    }
    rmSync(to, { recursive: true, force: true })
    renameSync(fresh, to)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
  return to
}
