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
 * Where root copies what PostgreSQL's user cannot read in the project. Only root can write to its
 * parent folders, so no other user can create it first, as with a folder for temporary files; and it
 * survives a restart of the machine.
 */
export const STAGING_DIR = '/var/lib/commandbus-db'

/** Whether the user can enter all these folders and read all these files. */
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
    `PostgreSQL does not run as root, and root cannot become user ${account.uid} here ` +
      `(${error.message}): start the service as a user other than root, or set DATABASE_URL`,
    { cause: error },
  )
}

/**
 * Creates a folder that root can write to and everybody can read, whatever the umask. Throws if it
 * exists in STAGING_DIR and another user can write to it.
 */
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
    `${path} must be a folder that only root can write to; remove it, or start the service as a ` +
      'user other than root',
  )
}

/**
 * Copies a folder so that everybody can read it, and returns `to`. The copy appears complete or not
 * at all. An existing copy is kept or replaced.
 */
export function copyForAll(from: string, to: string, existing: 'keep' | 'replace'): string {
  makeSharedFolder(dirname(to))
  if (existing === 'keep' && existsSync(to)) return to
  const incomplete = mkdtempSync(`${to}.new-`)
  try {
    cpSync(from, incomplete, { recursive: true, verbatimSymlinks: true })
    chmodSync(incomplete, 0o755)
    for (const entry of readdirSync(incomplete, { recursive: true, withFileTypes: true })) {
      if (!entry.isSymbolicLink()) chmodSync(join(entry.parentPath, entry.name), 0o755)
    }
    rmSync(to, { recursive: true, force: true })
    renameSync(incomplete, to)
  } finally {
    rmSync(incomplete, { recursive: true, force: true })
  }
  return to
}
