import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { until } from '../../support/until.ts'
import { DATABASE, ROLE } from './server.ts'
import { PASSWORD, type World } from './world.ts'

/** Something that happens to the database or to the way there. */
export interface Fault {
  readonly name: string
  /** For the page: what happens exactly. */
  readonly meaning: string
  /** Prepares the server, before anything else happens on it. */
  readonly prepare?: (world: World) => Promise<void>
  readonly begin: (world: World, options: { readonly isAtStart: boolean }) => Promise<void>
  readonly end: (world: World) => Promise<void>
  /** While it lasts, no session can be opened even past the proxy. */
  readonly takesServer?: boolean
  /** It is over when it has begun, or new sessions are served: nothing has to be waited for. */
  readonly isMomentary?: boolean
  /** The server answers: if `/readyz` says that it does not in time, this machine is busy. */
  readonly keepsAnswering?: boolean
  /** Where the service ends whatever the fault's length is, or why there is nothing to see. */
  readonly endsAt?: readonly string[]
  readonly senseless?: Readonly<Record<string, string>>
  /** What must be there, and the reason for the page where it is not. */
  readonly findProblem?: () => string | undefined
}

const NEW_PASSWORD = 'second-password'

export const FAULTS: readonly Fault[] = [
  {
    name: 'stop',
    meaning: 'the server is shut down (fast), and started again',
    takesServer: true,
    begin: ({ server }) => server.stop('SIGINT'),
    end: ({ server }) => server.start(),
  },
  {
    name: 'restart',
    senseless: { 'at start': 'the server is up again before the service starts' },
    meaning: 'the server crashes, and starts at once',
    isMomentary: true,
    async begin({ server }) {
      await server.stop('SIGQUIT')
      await server.start()
    },
    end: async () => {},
  },
  {
    name: 'freeze',
    meaning:
      'all processes of the server are stopped (SIGSTOP): connections stay open and nothing answers',
    takesServer: true,
    begin: async ({ server }) => server.freeze(),
    end: async ({ server }) => server.thaw(),
  },
  {
    name: 'cut',
    meaning: 'all connections are reset, and new ones too',
    begin: async ({ proxy }) => proxy.cut(),
    end: async ({ proxy }) => proxy.restore(),
  },
  {
    name: 'silent',
    meaning:
      'established connections stay open and pass nothing on, while new ones work (at start: new ones pass nothing on)',
    isMomentary: true,
    begin: async ({ proxy }, { isAtStart }) => (isAtStart ? proxy.swallow() : proxy.pause()),
    end: async ({ proxy }) => proxy.restore(),
  },
  {
    name: 'slots exhausted',
    keepsAnswering: true,
    meaning: 'other clients take every connection that is free (`53300`)',
    begin: exhaustSlots,
    end: sendCrowdAway,
  },
  {
    name: 'read-only',
    endsAt: ['at start'],
    keepsAnswering: true,
    meaning:
      '`default_transaction_read_only` is turned on for the server, as clouds do if the disk is full',
    begin: ({ server }) => setReadOnly(server, 'on'),
    end: ({ server }) => setReadOnly(server, 'off'),
  },
  {
    name: 'disk full',
    endsAt: ['at start'],
    keepsAnswering: true,
    meaning: "the disk of the database (not that of the server's log) has no byte left (`53100`)",
    findProblem: findDiskProblem,
    prepare: moveToSmallDisk,
    begin: async ({ server }) => fillUp(join(server.folder, 'small', 'ballast')),
    end: async ({ server }) => rmSync(join(server.folder, 'small', 'ballast')),
  },
  {
    name: 'password changed',
    endsAt: ['at start', 'waiting for the lock', 'migrating'],
    meaning:
      'the role gets another password and its sessions are ended; `DATABASE_URL_FILE` is replaced later',
    async begin({ server }) {
      await server.query(`alter role ${ROLE} password '${NEW_PASSWORD}'`)
      await server.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${ROLE}'`,
      )
    },
    end: async ({ writePassword }) => writePassword(NEW_PASSWORD),
  },
]

/** Takes every connection, for a second also those that become free: an attempt may have one for a moment. */
async function exhaustSlots({ scope, server }: World): Promise<void> {
  const state = { isOver: false }
  crowds.set(server, state)
  scope.teardown(() => {
    state.isOver = true
  })
  const takeAll = async () => {
    while (!state.isOver && (await takeSlot(server.port))) {}
  }
  await takeAll()
  const keepTaking = async () => {
    const begunAt = performance.now()
    while (!state.isOver && performance.now() - begunAt < 1000) {
      await sleep(20)
      await takeAll()
    }
  }
  keepTaking().catch(() => {})
}

const crowds = new WeakMap<object, { isOver: boolean }>()

async function sendCrowdAway({ server }: World): Promise<void> {
  const state = crowds.get(server)
  if (state !== undefined) state.isOver = true
  await until('the crowd is gone', async () => {
    const { rowCount } = await server.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'crowd'`,
    )
    return rowCount === 0
  })
}

/** Returns false if the server has no connection left. */
async function takeSlot(port: number): Promise<boolean> {
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port, user: ROLE, password: PASSWORD },
    ...{ database: DATABASE, application_name: 'crowd' },
  })
  client.on('error', () => {})
  try {
    await client.connect()
    return true
  } catch (error) {
    if ((error as { code?: string }).code === '53300') return false
    throw error
  }
}

async function setReadOnly(server: World['server'], value: 'on' | 'off'): Promise<void> {
  const client = await server.connect()
  await client.query(`alter system set default_transaction_read_only = ${value}`)
  await client.query('select pg_reload_conf()')
  await client.end()
}

function findDiskProblem(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return 'NOT TESTED: only root can mount a small disk'
  }
  const folder = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'pipe' })
    execFileSync('umount', [folder])
    return undefined
  } catch {
    return 'NOT TESTED: this machine does not allow to mount a small disk'
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function moveToSmallDisk(world: World): Promise<void> {
  await moveToDisk(world, (mount) =>
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=192m', 'tmpfs', mount]),
  )
}

/**
 * Moves the database to a tablespace on a disk of its own, and template1, whose copies the service makes; the
 * write-ahead log stays where there is room. Returns where the disk is mounted.
 */
export async function moveToDisk(
  { scope, server }: World,
  mountDisk: (mount: string) => void,
): Promise<string> {
  const mount = join(server.folder, 'small')
  mkdirSync(mount)
  mountDisk(mount)
  scope.teardown(async () => {
    await server.stop('SIGQUIT')
    execFileSync('umount', ['--lazy', mount])
  })
  chmodSync(mount, 0o755)
  const location = join(mount, 'tablespace')
  mkdirSync(location, { mode: 0o700 })
  const { uid, gid } = statSync(join(server.folder, 'data'))
  chownSync(location, uid, gid)
  const client = await server.connect()
  await client.query(`create tablespace small location '${location}'`)
  await client.end()
  const maintenance = new pg.Client({
    ...{ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres' },
  })
  await maintenance.connect()
  for (const name of [DATABASE, 'template1']) {
    await maintenance.query(`alter database ${name} set tablespace small`)
  }
  await maintenance.end()
  return mount
}

function fillUp(path: string): void {
  const file = openSync(path, 'w')
  for (let size = 1 << 20; size >= 1; ) {
    try {
      if (writeSync(file, Buffer.alloc(size)) < size) throw new Error('short')
    } catch {
      size = Math.floor(size / 2)
    }
  }
  closeSync(file)
}
