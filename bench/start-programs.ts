// The programs that `npm run bench:start` compares. All run with nothing of this environment but PATH:
// NODE_EXTRA_CA_CERTS alone costs each start of Node.js 35 ms.
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { writeCommitted } from '../test/support/migrations-folder.ts'

export const CASES = ['empty', 'up to date', 'many files'] as const
export type Case = (typeof CASES)[number]

/** The same migrations, as each program wants them. */
export interface Folders {
  /** Of graphile-migrate, with a `.gmrc`. */
  readonly migrations: string
  /** Plain SQL, in order. */
  readonly sqlFiles: readonly string[]
  readonly dbmate: string
}

export interface Run extends Folders {
  readonly url: string
  /** Nothing is to be applied. Default: false. */
  readonly isUpToDate?: boolean
}

export interface Program {
  readonly name: string
  /** It applies migrations, rather than being what a start is compared with. */
  readonly migrates: boolean
  readonly isMissing?: boolean
  /** Runs it, and returns how long that took in ms. */
  readonly run: (run: Run) => Promise<number>
}

const projectDir = dirname(import.meta.dirname)
const tool = join(dirname(createRequire(import.meta.url).resolve('graphile-migrate')), 'cli.js')

/** Writes the migrations of this project, and many small ones, below `folder`. */
export function createFolders(folder: string, files: number): Record<Case, Folders> {
  const committed = join(projectDir, 'migrations', 'committed')
  const bodies = readdirSync(committed)
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => readFileSync(join(committed, name), 'utf8').replace(/^(?:--! .*\n)*/, ''))
  const own = createFoldersOf(join(folder, 'own'), bodies)
  const small = Array.from({ length: files }, (_, index) => `create table t_${index} (id int);`)
  const many = createFoldersOf(join(folder, 'many'), small)
  return { empty: own, 'up to date': own, 'many files': many }
}

function createFoldersOf(folder: string, bodies: readonly string[]): Folders {
  const migrations = join(folder, 'migrations')
  const plain = join(folder, 'plain')
  const dbmate = join(folder, 'dbmate')
  for (const made of [join(migrations, 'committed'), plain, dbmate]) {
    mkdirSync(made, { recursive: true })
  }
  writeCommitted(migrations, bodies)
  const gmrc = { placeholders: { ':E2E_SCHEMA': 'on' }, migrationsFolder: migrations }
  writeFileSync(join(migrations, '.gmrc'), JSON.stringify(gmrc))
  const sqlFiles = bodies.map((body, index) => {
    const name = `${String(index + 1).padStart(6, '0')}_migration.sql`
    const sql = body.replaceAll(':E2E_SCHEMA', 'on')
    writeFileSync(join(plain, name), sql)
    writeFileSync(join(dbmate, name), `-- migrate:up\n${sql}\n-- migrate:down\n`)
    return join(plain, name)
  })
  return { migrations, sqlFiles, dbmate }
}

/** Lists the programs; `builds` are further builds of the service, by their entry. */
export function listPrograms(builds: readonly string[]): Program[] {
  const node = process.execPath
  const app = join(projectDir, 'dist', 'app')
  const serviceEnv = ({ url, migrations }: Run) => ({
    ...{ DATABASE_URL: url, MIGRATIONS_DIR: migrations, PORT: '0' },
  })
  const service = (name: string, entry: string): Program => ({
    name,
    migrates: true,
    run: (run) => measureReady([node, entry], serviceEnv(run)),
  })
  return [
    { name: '`node -e 0`', migrates: false, run: () => measure([node, '-e', '0']) },
    { name: 'psql', migrates: false, run: runPsql },
    {
      name: 'dbmate',
      migrates: true,
      isMissing: spawnSync('dbmate', ['--version']).error !== undefined,
      run({ url, dbmate }) {
        // Its table in full: our migrations set the search path of the transaction that they share with it.
        const table = ['--migrations-table', 'public.schema_migrations']
        const options = ['--no-dump-schema', '--migrations-dir', dbmate, ...table]
        const env = { DATABASE_URL: `${url}?sslmode=disable` }
        return measure(['dbmate', ...options, 'migrate'], env)
      },
    },
    {
      name: "graphile-migrate's command",
      migrates: true,
      run: ({ url, migrations }) =>
        measure([node, tool, '--config', join(migrations, '.gmrc'), 'migrate'], {
          DATABASE_URL: url,
        }),
    },
    service('the service', join(app, 'server.js')),
    {
      name: '`migrate-once`',
      migrates: true,
      run: (run) => measure([node, join(app, 'migrate-once.js')], serviceEnv(run)),
    },
    ...builds.map((entry) => service(entry, entry)),
  ]
}

/** The least that it takes to run the migrations, or to ask the database anything. */
function runPsql({ url, sqlFiles, isUpToDate }: Run): Promise<number> {
  const files = sqlFiles.flatMap((file) => ['--file', file])
  const work = isUpToDate ? ['--command', 'select 1'] : files
  const options = ['--no-psqlrc', '--quiet', '--single-transaction', '--set=ON_ERROR_STOP=1']
  return measure(['psql', ...options, ...work, url], {
    PGOPTIONS: '-c client_min_messages=warning',
  })
}

/** From the start of the process to its end. */
function measure(command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  return start(command, env, ({ ended }) => ended)
}

/** From the start of the process until it is ready; then it is stopped. */
function measureReady(command: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return start(command, env, ({ ready }) => ready)
}

interface Moments {
  readonly ready: Promise<number>
  readonly ended: Promise<number>
}

async function start(
  [command = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
  choose: (moments: Moments) => Promise<number>,
): Promise<number> {
  const startedAt = performance.now()
  const child = spawn(command, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const ready = withResolvers()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (output.includes('"msg":"ready"')) ready.resolve(performance.now() - startedAt)
    })
  }
  const ended = withResolvers()
  const closed = new Promise((resolve) => child.once('close', resolve))
  child.once('exit', (code) => {
    if (code === 0) return ended.resolve(performance.now() - startedAt)
    ended.reject(new Error(`${command} ${args.join(' ')} ended with ${code}: ${output}`))
  })
  ended.promise.catch(ready.reject)
  ready.promise.catch(() => {})
  const ms = await choose({ ready: ready.promise, ended: ended.promise })
  child.kill('SIGTERM')
  await closed
  return ms
}

/** As Promise.withResolvers, which Node.js 20 does not have. */
function withResolvers() {
  let resolve: (ms: number) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<number>((one, other) => {
    resolve = one
    reject = other
  })
  return { promise, resolve, reject }
}
