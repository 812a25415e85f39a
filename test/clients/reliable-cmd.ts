import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Pool } from 'pg'
import type { Test } from 'tap'

/** A running Python process that uses the client library; calls are served one after another. */
export interface ClientSession {
  call<T = unknown>(name: string, ...args: readonly unknown[]): Promise<T>
  close(): Promise<void>
}

/** Starts test/clients/reliable-cmd.py with the installed library. */
export function openClientSession(libraryDir: string, databaseUrl: string): ClientSession {
  const script = join(import.meta.dirname, 'reliable-cmd.py')
  const python = spawn('python3', [script], {
    env: { PATH: process.env.PATH, PYTHONPATH: libraryDir, CLIENT_DATABASE_URL: databaseUrl },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // The library logs every failure that a handler makes; shown only when the session breaks.
  let log = ''
  python.stderr.on('data', (chunk) => {
    log += chunk
  })
  const ended = new Promise<void>((resolve) => python.once('close', () => resolve()))
  const answers = createInterface({ input: python.stdout })[Symbol.asyncIterator]()

  return {
    async call<T>(name: string, ...args: readonly unknown[]): Promise<T> {
      python.stdin.write(`${JSON.stringify([name, ...args])}\n`)
      const { value, done } = await answers.next()
      if (done) throw new Error(`the Python client ended:\n${log}`)
      const answer = JSON.parse(value)
      if (answer.error !== undefined) throw new Error(`${name}: ${answer.error}`)
      return answer.result
    },
    async close() {
      python.stdin.end()
      await ended
    },
  }
}

/** The library takes a message's columns by position, which PGMQ 1.10 changed. */
export async function findsMessagesByPosition(pool: Pool): Promise<boolean> {
  const { rows } = await pool.query(
    `select attname from pg_catalog.pg_attribute
      where attrelid = 'pgmq.message_record'::regclass and attnum = 5`,
  )
  return rows[0]?.attname === 'message'
}

/** A role that may do what a client needs and nothing else; returns its address. */
export async function createClientRole(t: Test, url: string, pool: Pool): Promise<string> {
  const role = new URL(url)
  role.username = `client_${randomBytes(5).toString('hex')}`
  role.password = randomBytes(12).toString('hex')
  await pool.query(`create role ${role.username} login password '${role.password}'`)
  t.teardown(async () => {
    await pool.query(`drop owned by ${role.username}; drop role ${role.username}`)
  })
  await pool.query('select commandbus.grant_client($1)', [role.username])
  return role.href
}
