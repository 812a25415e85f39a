import { type Client, escapeIdentifier } from 'pg'
import type { Queryable } from '../postgres/client.ts'
import { literal } from '../postgres/quote.ts'

/** How PostgreSQL copies a template: through its log, or file by file between two checkpoints. */
export type Strategy = 'wal_log' | 'file_copy'

export interface CreateOptions {
  readonly name: string
  readonly oid: number
  /** Another role than the one that creates it. */
  readonly owner: string | undefined
}

/** Copies a template; not in a transaction. */
export async function copyTemplate(
  client: Client,
  options: CreateOptions & { readonly template: string; readonly strategy: Strategy },
): Promise<void> {
  const { template, strategy } = options
  if (strategy === 'file_copy') await shareBlocks(client)
  await create(client, options, `template = ${escapeIdentifier(template)} strategy = ${strategy}`)
}

/** From PostgreSQL 18 on, a file system that can share blocks between files copies nothing. */
async function shareBlocks(client: Client): Promise<void> {
  await client.query(
    `select pg_catalog.set_config(name, 'clone', false)
       from pg_catalog.pg_settings
      where name = 'file_copy_method' and 'clone' = any (enumvals)`,
  )
}

/** Creates an empty database with the locale of another; not in a transaction. */
export async function createEmpty(
  client: Client,
  options: CreateOptions & { readonly locale: string },
): Promise<void> {
  await create(client, options, options.locale)
}

async function create(client: Client, { name, oid, owner }: CreateOptions, rest: string) {
  const ownedBy = owner === undefined ? '' : `owner = ${escapeIdentifier(owner)}`
  await client.query(`create database ${escapeIdentifier(name)} oid = ${oid} ${ownedBy} ${rest}`)
}

const PROVIDERS: Readonly<Record<string, string>> = { c: 'libc', i: 'icu', b: 'builtin' }

/** The columns of pg_database that decide how text is compared; not every version has all. */
const LOCALE_COLUMNS = [
  ...['encoding', 'datcollate', 'datctype', 'datlocprovider'],
  ...['daticulocale', 'datlocale', 'daticurules'],
]

type Columns = Readonly<Record<string, string | number | null | undefined>>

/**
 * Returns what `create database` has to say to get the locale of the current database: nothing if
 * template1 has it, where an administrator may have put extensions.
 */
export async function readLocale(client: Queryable): Promise<string> {
  const { rows } = await client.query<{ own: Columns; standard: Columns }>(
    `select pg_catalog.to_jsonb(own) as own, pg_catalog.to_jsonb(standard) as standard
       from pg_catalog.pg_database as own, pg_catalog.pg_database as standard
      where own.datname = pg_catalog.current_database() and standard.datname = 'template1'`,
  )
  const [{ own, standard } = { own: {}, standard: {} }] = rows
  if (LOCALE_COLUMNS.every((name) => own[name] === standard[name])) return ''
  const provider = PROVIDERS[String(own.datlocprovider)] ?? 'libc'
  const locale = own.datlocale ?? own.daticulocale
  const options = {
    encoding: 'UTF8',
    lc_collate: own.datcollate,
    lc_ctype: own.datctype,
    locale_provider: provider,
    ...(provider !== 'libc' && { [`${provider}_locale`]: locale }),
    icu_rules: own.daticurules,
  }
  const written = Object.entries(options).flatMap(([name, value]) =>
    value === null || value === undefined ? [] : `${name} = ${literal(String(value))}`,
  )
  return `template = template0 ${written.join(' ')}`
}
