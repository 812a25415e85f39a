import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { openEmbeddedServer } from '../src/database/embedded/embedded-server.ts'

const projectDir = dirname(import.meta.dirname)
const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error }

/** Databases to measure in: of a server of its own, or of the one that DATABASE_URL names. */
export interface BenchServer {
  /** What is measured, for the report. */
  readonly version: string
  /** Creates a database with all committed migrations; it is dropped when the server is closed. */
  createMigrated(name: string): Promise<string>
  /** Migrates a database of this server. */
  migrate(url: string): Promise<void>
  /** Creates an empty database; it is dropped likewise. */
  createEmpty(name: string): Promise<string>
  close(): Promise<void>
}

/** With its default settings: a commit is on the disk before it returns. */
export async function openBenchServer(givenUrl: string | undefined): Promise<BenchServer> {
  const own = givenUrl === undefined ? await openOwn() : undefined
  const url = givenUrl ?? own?.url ?? ''
  const names = new Set<string>()
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  const { rows } = await admin.query<{ server_version: string }>('show server_version')

  async function createEmpty(name: string): Promise<string> {
    await admin.query(`drop database if exists ${name} with (force)`)
    await admin.query(`create database ${name}`)
    names.add(name)
    const created = new URL(url)
    created.pathname = `/${name}`
    return created.href
  }

  return {
    version: rows[0]?.server_version ?? '',
    createEmpty,
    migrate,
    async createMigrated(name) {
      const created = await createEmpty(name)
      await migrate(created)
      return created
    },
    async close() {
      for (const name of new Set(names)) {
        await admin.query(`drop database if exists ${name} with (force)`)
      }
      await admin.end()
      await own?.close()
    },
  }
}

async function openOwn(): Promise<{ url: string; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-bench-'))
  const server = await openEmbeddedServer({
    dataDir: join(folder, 'postgres'),
    port: await findFreePort(),
    database: 'bench',
    secrets: { add() {} },
    stopMs: 10_000,
    log: quiet,
    signal: new AbortController().signal,
  })
  return {
    url: server.urlOf('postgres'),
    async close() {
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => probe.once('listening', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

async function migrate(url: string): Promise<void> {
  const main = createRequire(import.meta.url).resolve('graphile-migrate')
  await promisify(execFile)(process.execPath, [join(dirname(main), 'cli.js'), 'migrate'], {
    cwd: projectDir,
    env: { PATH: process.env.PATH, DATABASE_URL: url },
  })
}
