import type { SpawnOptions } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { ServiceError } from '../../errors/service-error.ts'

/** The operating system user that PostgreSQL runs as. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** Whether this process runs as root, which PostgreSQL refuses to run as. */
export function isRoot(): boolean {
  return process.getuid?.() === 0
}

/**
 * The user of this process; for root, an unprivileged user that already exists. Never adds a user
 * to the system.
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
    'PostgreSQL does not run as root, and this system has no user postgres or nobody to run it as: ' +
      'start the service as a user other than root, or set DATABASE_URL',
  )
}

/** Options that start PostgreSQL's programs as this user, without this process's environment. */
export function spawnOptions({ uid, gid }: Account): SpawnOptions {
  return {
    ...(isRoot() ? { uid, gid } : {}),
    // The one folder that every user can enter.
    cwd: '/',
    // English messages can be searched for; containers use UTC as well.
    env: { LC_ALL: 'C', TZ: 'UTC' },
  }
}
