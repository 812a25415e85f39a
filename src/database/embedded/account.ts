import type { SpawnOptions } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { ServiceError } from '../../errors/service-error.ts'

/** The operating system's user that PostgreSQL runs as. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

export function isRoot(): boolean {
  return process.getuid?.() === 0
}

/**
 * The user of this process; for root, whom PostgreSQL refuses, an unprivileged user that is there
 * anyway. None is ever added to the system.
 */
export function findAccount(): Account {
  if (!isRoot()) return { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 }
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  for (const wanted of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find(([name]) => name === wanted) ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new ServiceError(
    'embedded_no_account',
    'PostgreSQL does not run as root, and this system has no user postgres or nobody to run it: ' +
      'start the service as a user other than root, or set DATABASE_URL',
  )
}

/** Starts PostgreSQL's programs as the user, with nothing of this process's environment. */
export function spawnOptions({ uid, gid }: Account): SpawnOptions {
  return {
    ...(isRoot() ? { uid, gid } : {}),
    // Nowhere that the user could not be.
    cwd: '/',
    // Messages in English, for those who search for them; UTC, as containers have it.
    env: { LC_ALL: 'C', TZ: 'UTC' },
  }
}
