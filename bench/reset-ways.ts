import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type pg from 'pg'
import { loadMigrations } from '../test/support/migrations.ts'

const projectDir = dirname(import.meta.dirname)
const quote = (text: string) => `'${text.replaceAll("'", "''")}'`

/** The tables and sequences of a database, and what it takes to fill its reference tables again. */
interface Content {
  readonly tables: readonly string[]
  readonly sequences: readonly { name: string; last_value: string; is_called: boolean }[]
  /** One `insert` for each table that had rows, from copies in a schema `seed`. */
  readonly seeds: readonly string[]
  readonly queues: readonly string[]
}

/** Reads what the peers below need; to be called on a clean database. */
export async function readContent(client: pg.Client): Promise<Content> {
  const elsewhere = `nspname !~ '^pg_'
    and nspname not in ('information_schema', 'provisioning', 'graphile_migrate', 'seed')`
  const list = async (kind: string) => {
    const { rows } = await client.query<{ name: string }>(
      `select pg_class.oid::regclass::text as name
         from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where ${elsewhere} and relkind = '${kind}' order by 1`,
    )
    return rows.map((row) => row.name)
  }
  const tables = await list('r')
  const sequences = []
  for (const name of await list('S')) {
    const { rows } = await client.query(`select last_value, is_called from ${name}`)
    sequences.push({ name, ...rows[0] })
  }
  const seeds: string[] = []
  for (const name of tables) {
    const { rows } = await client.query<{ content: string }>(
      `select t::text as content from ${name} t`,
    )
    const lines = rows.map(({ content }) => `(${quote(content)}::${name})`)
    if (lines.length > 0) {
      seeds.push(`insert into ${name} select (r).* from (values ${lines.join(', ')}) as stored (r)`)
    }
  }
  const hasQueues = tables.includes('pgmq.meta')
  const { rows } = hasQueues
    ? await client.query<{ name: string }>('select queue_name as name from pgmq.meta')
    : { rows: [] }
  return { tables, sequences, seeds, queues: rows.map((row) => row.name) }
}

function dropQueues({ queues }: Content): string {
  if (queues.length === 0) return ''
  return `select pgmq.drop_queue(queue_name) from pgmq.meta
           where queue_name not in (${queues.map(quote).join(', ')});`
}

/** Everything truncated, and the reference rows put in again. */
export function truncateAndSeed(content: Content): string {
  return `begin; ${dropQueues(content)}
    truncate ${content.tables.join(', ')} restart identity; ${content.seeds.join('; ')}; commit`
}

/** What the Respawn library makes of a database: it knows neither reference rows nor queues. */
export function truncateAsRespawn({ tables }: Content): string {
  return `truncate table ${tables.join(', ')} cascade`
}

/** Every table deleted from, whether it holds anything or not; every sequence set. */
export function deleteEverything(content: Content): string {
  const referenced = ['commandbus.batch', 'pgmq.meta']
  const last = (name: string) => (referenced.includes(name) ? 1 : 0)
  const tables = content.tables.toSorted((a, b) => last(a) - last(b))
  return `begin; ${dropQueues(content)}
    ${tables.map((name) => `delete from ${name}`).join('; ')}; ${content.seeds.join('; ')};
    select ${content.sequences
      .map(({ name, last_value, is_called }) => `setval('${name}', ${last_value}, ${is_called})`)
      .join(', ')}; commit`
}

export async function cloneTemplate(admin: pg.Client, name: string, template: string) {
  await admin.query(`drop database ${name} with (force)`)
  await admin.query(`create database ${name} template ${template}`)
}

/** Drops, creates, and runs the migrations' SQL over one connection, without any tool. */
export async function createAgain(
  admin: pg.Client,
  name: string,
  connect: () => Promise<pg.Client>,
) {
  await admin.query(`drop database ${name} with (force)`)
  await admin.query(`create database ${name}`)
  const client = await connect()
  for (const sql of loadMigrations()) await client.query(`begin; ${sql}; commit`)
  await client.end()
}

/** graphile-migrate's own, by its command line: the start of Node.js is part of it. */
export async function resetByTool(url: string, rootUrl: string): Promise<void> {
  const main = createRequire(import.meta.url).resolve('graphile-migrate')
  const args = [join(dirname(main), 'cli.js'), 'reset', '--erase']
  await promisify(execFile)(process.execPath, args, {
    cwd: projectDir,
    env: { PATH: process.env.PATH, DATABASE_URL: url, ROOT_DATABASE_URL: rootUrl },
  })
}
