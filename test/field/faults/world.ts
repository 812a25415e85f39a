import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createMigrationsFolder } from '../../support/migrations-folder.ts'
import { openProxy, type Proxy as TestProxy } from '../../support/proxy.ts'
import { type Service, startService } from '../../support/service.ts'
import { until } from '../../support/until.ts'
import type { Scope } from './scope.ts'
import { DATABASE, type FaultServer, ROLE, startServer, type Template } from './server.ts'

/** Where a cell of the matrix takes place: a server, the way to it, and migrations that can be held. */
export interface World {
  readonly scope: Scope
  readonly server: FaultServer
  readonly proxy: TestProxy
  /** Changes what DATABASE_URL_FILE holds. */
  writePassword(password: string): void
  start(env?: Readonly<Record<string, string>>): Service
  /** Holds whatever calls `wait_while_held`: the second migration, and a reset. */
  hold(): Promise<Hold>
  readFacts(): Promise<Facts>
}

export interface Hold {
  /** Waits until a session of the service has arrived. */
  arrival(): Promise<void>
  release(): Promise<void>
}

/** What must survive every fault. */
export interface Facts {
  readonly history: readonly string[]
  readonly tables: readonly string[]
  /** All rows, in one line; empty where there are no tables. */
  readonly rows: string
}

export const TOKEN = 'a-token-of-the-matrix'
export const PASSWORD = 'first-password'
const HOLD_KEY = 20261126
const PADDING_ROWS = 3000

/** The check sleeps rather than waits for a lock, to be free of lock timeouts; a rebuild's trial passes. */
const WAIT_WHILE_HELD = `
  create function public.wait_while_held() returns bool language plpgsql as $$
  begin
    while pg_catalog.current_setting('application_name') not like '%trial%'
      and exists (select from pg_catalog.pg_locks
                   where locktype = 'advisory' and objid = ${HOLD_KEY})
    loop
      perform pg_catalog.pg_sleep(0.02);
    end loop;
    return true;
  end;
  $$;`

/** The padding needs room on the disk; a reset restores it after what it is held at. */
const MIGRATIONS = [
  `create table public.things (id serial primary key, label text);
   insert into public.things (label) values ('one'), ('two'), ('three');
   ${WAIT_WHILE_HELD}`,
  `create table public.padding (number int primary key, text text);
   create table public.held (amount int check (public.wait_while_held()));
   insert into public.held values (1);
   insert into public.padding
   select number, repeat(md5(number::text), 40) from generate_series(1, ${PADDING_ROWS}) as number;`,
  'create table public.last ();',
]
const TABLES = ['held', 'last', 'padding', 'things']
const TABLES_OF = [['things'], ['padding', 'held'], ['last']]
export const MIGRATION_COUNT = MIGRATIONS.length

/** What the rows are after all migrations. */
export const CLEAN_ROWS = `one,two,three; 1; ${PADDING_ROWS}`
/** A row that an application has committed before the fault. */
export const MINE = `insert into public.things (label) values ('mine')`
export const CLEAN_ROWS_AND_MINE = `one,two,three,mine; 1; ${PADDING_ROWS}`
export const DIRT = `
  ${MINE};
  update public.held set amount = 2;
  truncate public.padding;`
export const DIRTY_ROWS = 'one,two,three,mine; 2; 0'

export async function openWorld(scope: Scope, template: Template): Promise<World> {
  const server = await startServer(scope, template)
  const proxy = await openProxy(scope, `postgres://${ROLE}@127.0.0.1:${server.port}/${DATABASE}`)
  const migrationsDir = createMigrationsFolder(scope, MIGRATIONS)
  const urlFile = join(server.folder, 'url')
  const writePassword = (password: string) => {
    const url = new URL(proxy.url)
    url.password = password
    // Replaced as a whole, as Kubernetes does it.
    writeFileSync(`${urlFile}.new`, `${url}\n`)
    renameSync(`${urlFile}.new`, urlFile)
  }
  writePassword(PASSWORD)

  return {
    scope,
    server,
    proxy,
    writePassword,
    start: (env) =>
      startService(scope, { DATABASE_URL_FILE: urlFile, MIGRATIONS_DIR: migrationsDir, ...env }),
    async hold() {
      const holder = await server.connect()
      scope.teardown(() => void holder.end().catch(() => {}))
      await holder.query(`select pg_advisory_lock(${HOLD_KEY})`)
      return {
        arrival: () =>
          until('the service waits where it is held', async () => {
            const { rowCount } = await server.query(
              `select from pg_stat_activity
                where wait_event = 'PgSleep' and application_name like 'commandbus-db%'`,
            )
            return rowCount === 1
          }),
        async release() {
          await holder.query('select pg_advisory_unlock_all()').catch(() => {})
        },
      }
    },
    readFacts: () => readFacts(server),
  }
}

/** In one snapshot: a backend whose client is gone may still commit. */
async function readFacts(server: FaultServer): Promise<Facts> {
  const client = await server.connect()
  const list = async (sql: string) => (await client.query(sql)).rows.map(({ name }) => String(name))
  try {
    await client.query('begin isolation level repeatable read')
    const tables = await list(
      `select relname as name from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname`,
    )
    const [hasHistory] = await list(`select to_regclass('graphile_migrate.migrations') as name`)
    const history =
      hasHistory === 'null'
        ? []
        : await list('select filename as name from graphile_migrate.migrations order by filename')
    const [rows = ''] = tables.includes('padding')
      ? await list(
          `select concat_ws('; ', (select string_agg(label, ',' order by id) from public.things),
                            (select amount from public.held),
                            (select count(*) from public.padding)) as name`,
        )
      : []
    return { history, tables, rows }
  } finally {
    await client.end()
  }
}

/** Throws unless the database stands between two migrations: those in the history happened, no other did. */
export function assertAtBoundary({ history, tables, rows }: Facts): void {
  const expected = TABLES_OF.slice(0, history.length).flat().sort()
  if (String(tables) !== String(expected)) {
    throw new Error(`${history.length} migrations are recorded, but the tables are ${tables}`)
  }
  if (tables.includes('padding') && ![CLEAN_ROWS, CLEAN_ROWS_AND_MINE, DIRTY_ROWS].includes(rows)) {
    throw new Error(`rows are missing: ${rows}`)
  }
}

export function assertComplete(facts: Facts, rows: string): void {
  assertAtBoundary(facts)
  if (String(facts.tables) !== String(TABLES) || facts.rows !== rows) {
    throw new Error(`expected all tables and the rows ${rows}, found ${JSON.stringify(facts)}`)
  }
}
