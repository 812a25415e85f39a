import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { Checkout } from '../scripts/walkthrough/checkout.ts'
import { until } from '../test/support/until.ts'

/** The embedded server of a checkout's loop, seen from outside. */
export interface LoopDatabase {
  urlOf(name: string): string
  /** Copies the template of the loop's database; returns the name of the copy. */
  createCopy(name: string): Promise<string>
  /** Waits until sp_start_batch has a body with this text: in the loop's database, or in another. */
  untilBodyHas(text: string, name?: string): Promise<void>
  /** Runs a file with psql. */
  psql(name: string, file: string): void
  close(): Promise<void>
}

const DEADLINE_MS = 30_000
/** The resolution of the times. */
const POLL_MS = 2

export async function openLoopDatabase(checkout: Checkout): Promise<LoopDatabase> {
  const lines = (await checkout.run('npm run -s db:url')).trim().split('\n')
  const url = lines.find((line) => line.startsWith('postgres')) ?? ''
  const urlOf = (name: string) => url.replace(/\/[^/]*$/, `/${name}`)
  const own = new URL(url).pathname.slice(1)
  const clients = new Map<string, Client>()
  const connect = async (name: string) => {
    const client = clients.get(name) ?? new Client({ connectionString: urlOf(name) })
    if (!clients.has(name)) {
      client.on('error', () => {})
      await client.connect()
    }
    clients.set(name, client)
    return client
  }

  return {
    urlOf,
    async createCopy(name) {
      const root = await connect('postgres')
      let template: string | undefined
      await until('the loop, which watches, makes a template', async () => {
        const { rows } = await root.query<{ datname: string }>(
          'select datname from pg_database where starts_with(datname, $1)',
          [`${own}_template_`],
        )
        template = rows[0]?.datname
        return template !== undefined
      })
      await root.query(`create database ${name} template ${template}`)
      return name
    },
    async untilBodyHas(text, name = own) {
      const client = await connect(name)
      const deadline = Date.now() + DEADLINE_MS
      while (true) {
        const { rowCount } = await client.query(
          `select from pg_proc where proname = 'sp_start_batch' and pronamespace = 'commandbus'::regnamespace
             and strpos(prosrc, $1) > 0`,
          [text],
        )
        if (rowCount === 1) return
        if (Date.now() > deadline) throw new Error(`${name} did not get the body with ${text}`)
        await sleep(POLL_MS)
      }
    },
    psql(name, file) {
      const { hostname, port, username, password } = new URL(urlOf(name))
      const env = {
        ...{ PATH: process.env.PATH, PGHOST: hostname, PGPORT: port, PGDATABASE: name },
        ...{ PGUSER: decodeURIComponent(username), PGPASSWORD: decodeURIComponent(password) },
      }
      execFileSync('psql', ['--quiet', '--no-psqlrc', '--file', file], { env })
    },
    async close() {
      for (const client of clients.values()) await client.end()
    },
  }
}
