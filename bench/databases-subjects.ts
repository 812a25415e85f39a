import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createHttpClient } from './http-client.ts'
import type { BenchServer } from './server.ts'

export interface Lent {
  readonly id: string
  readonly url: string
}

/** A way to get databases that are migrated. */
export interface Subject {
  get(): Promise<Lent>
  giveBack(lent: Lent): Promise<void>
  /** The names of all copies that there are; a name is not used again. */
  listCopies?(): Promise<string[]>
  /** Gets an answer over the same way that takes no database. */
  askMemory?(): Promise<void>
  /** Gets an answer of the same server to the shortest question. */
  askServer?(): Promise<void>
  close(): Promise<void>
}

export interface SubjectOptions {
  readonly server: BenchServer
  /** How many are lent at once. */
  readonly max: number
}

const TOKEN = 'only-for-this-measurement'
/** Longer than a copy takes. */
const FILL_PAUSE_MS = 3000

/** The built service in a process of its own, over HTTP. */
export async function createOurs({ server, max }: SubjectOptions): Promise<Required<Subject>> {
  const databaseUrl = await server.createMigrated('bench_databases')
  const service = spawn(process.execPath, ['dist/src/bin/server.js'], {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: databaseUrl,
      PORT: '0',
      TEST_DATABASES_MAX: String(max),
      TEST_DATABASES_TOKEN: TOKEN,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const base = await readAddress(service)
  const http = createHttpClient(base, { authorization: `Bearer ${TOKEN}` })
  while ((await fetch(`${base}/readyz`)).status !== 200) await sleep(50)
  const get = async () => JSON.parse(await http.call('POST', '/databases')) as Lent
  const giveBack = async ({ id }: Lent) => void (await http.call('DELETE', `/databases/${id}`))
  await fillPool()
  const admin = new pg.Client({ connectionString: databaseUrl })
  await admin.connect()

  /** Makes all copies that the service will have: that many are ready beside those that are lent. */
  async function fillPool(): Promise<void> {
    const all = await Promise.all(Array.from({ length: max }, get))
    let ready = -1
    let found = 0
    while (ready < found || found === 0) {
      ready = found
      await sleep(FILL_PAUSE_MS)
      found = await countReady()
    }
    await Promise.all(all.map(giveBack))
  }

  async function countReady(): Promise<number> {
    const { testDatabases } = JSON.parse(await http.call('GET', '/status'))
    return testDatabases.ready as number
  }

  async function listCopies(): Promise<string[]> {
    const { rows } = await admin.query<{ name: string }>(
      'select name from provisioning.test_database',
    )
    return rows.map(({ name }) => name)
  }

  return {
    get,
    giveBack,
    listCopies,
    askMemory: async () => void (await http.call('GET', '/livez')),
    askServer: async () => void (await admin.query('select 1')),
    async close() {
      http.close()
      service.kill('SIGTERM')
      await once(service, 'exit')
      for (const name of await listCopies()) {
        await admin.query(`drop database if exists "${name}" with (force)`)
      }
      await admin.end()
    },
  }
}

async function readAddress(service: ChildProcess): Promise<string> {
  let output = ''
  return new Promise((resolve, reject) => {
    service.once('exit', (code) => reject(new Error(`the service ended with ${code}: ${output}`)))
    service.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const [, address] = /listening at (http:[^"\s]+)/.exec(output) ?? []
      if (address !== undefined) resolve(address)
    })
  })
}

/** A copy of a template for each, dropped afterwards: what a test suite does by itself. */
export async function createByHand({ server, max }: SubjectOptions): Promise<Subject> {
  const templateUrl = new URL(await server.createMigrated('bench_databases_template'))
  const adminUrl = new URL(templateUrl)
  adminUrl.pathname = '/postgres'
  const admins = new pg.Pool({ connectionString: adminUrl.href, max })
  return {
    async get() {
      const id = `bench_databases_${randomBytes(6).toString('hex')}`
      await admins.query(`create database ${id} template bench_databases_template`)
      const url = new URL(templateUrl)
      url.pathname = `/${id}`
      return { id, url: url.href }
    },
    giveBack: async ({ id }) => void (await admins.query(`drop database ${id} with (force)`)),
    close: () => admins.end(),
  }
}
