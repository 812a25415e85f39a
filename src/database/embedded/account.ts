import type { SpawnOptions } from 'node:child_process'
import { lstatSync, readFileSync } from 'node:fs'
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
 * In this order: another PostgreSQL of this machine runs as `postgres`, and the superuser of this one
 * can do what its account can.
 */
const UNPRIVILEGED_USERS = ['nobody', 'postgres']

/**
 * The user of this process; for root, an unprivileged user that already exists. Never adds a user
 * to the system. A data folder that exists, in one of these places, keeps its owner.
 */
export function findAccount(dataDirs: readonly string[] = []): Account {
  if (!isRoot()) return { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 }
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const accounts = UNPRIVILEGED_USERS.flatMap((wanted) => {
    const [, , uid, gid] = users.find(([name]) => name === wanted) ?? []
    return uid === undefined || gid === undefined ? [] : [{ uid: Number(uid), gid: Number(gid) }]
  })
  const owners = dataDirs.map((path) => lstatSync(path, { throwIfNoEntry: false })?.uid)
  const account = accounts.find(({ uid }) => owners.includes(uid)) ?? accounts[0]
  if (account !== undefined) return account
  throw new ServiceError(
    'embedded_no_account',
    'PostgreSQL does not run as root, and this system has no user nobody or postgres to run it as: ' +
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
