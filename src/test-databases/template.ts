import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { captureBaseline } from '../baseline/capture.ts'
import { markDisposable } from '../baseline/disposable.ts'
import { ensureStore } from '../baseline/store.ts'
import { readWholeFingerprint } from '../catalog/whole-fingerprint.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import { createToolSettings } from '../migrations/apply.ts'
import { readSeeds, type SeedVersion } from '../migrations/files/seeds.ts'
import { type ProvisionHooks, provision } from '../migrations/provision.ts'
import { runSeeds } from '../migrations/seeds.ts'
import type { Queryable } from '../postgres/client.ts'
import { urlOfDatabase } from '../postgres/connection/other-database.ts'
import { createSessions } from '../postgres/sessions.ts'
import { createEmpty, readLocale } from './create.ts'
import { dropDatabase } from './drop.ts'
import { withFilesOf } from './files.ts'
import { setAllowed } from './leases.ts'
import type { TemplateRecipe } from './recipe.ts'
import { addDatabase, COLUMNS, moveDatabase, removeDatabase, type TestDatabase } from './rows.ts'
import type { TestServer } from './server.ts'

/** A database with all migrations, which nobody can enter, to be copied. */
export interface Template {
  readonly key: string
  readonly name: string
  /** Of its definitions; a copy that is lent again has the same. */
  readonly fingerprint: string
  /** What is in them changes without a trace in a catalogue that every role may read. */
  readonly hasLargeObjects: boolean
}

/** Ends the fingerprint of a template that has any. */
const HAS_LARGE_OBJECTS = ' with large objects'
const POLL_MS = 100

/**
 * Returns the template of this recipe, which one service makes and the others wait for. It stays as long
 * as this service uses it.
 */
export async function ensureTemplate(
  server: TestServer,
  recipe: TemplateRecipe,
  owner: string | undefined,
): Promise<Template> {
  const { keeper, signal } = server
  while (true) {
    signal.throwIfAborted()
    if (await keeper.tryUse(recipe.key)) {
      const found = await findTemplate(server.database.pool, recipe.key)
      if (found !== undefined) return found
      await keeper.stopUsing(recipe.key)
      if (await keeper.tryOwn(recipe.key)) {
        try {
          if ((await findTemplate(server.database.pool, recipe.key)) === undefined) {
            await makeTemplate(server, recipe, owner)
          }
        } finally {
          await keeper.stopOwning(recipe.key)
        }
        continue
      }
    }
    await sleep(POLL_MS, undefined, { signal })
  }
}

/** Finds a template that is finished and still there. */
async function findTemplate(client: Queryable, key: string): Promise<Template | undefined> {
  const { rows } = await client.query<TestDatabase & { fingerprint: string; exists: boolean }>(
    `select ${COLUMNS}, fingerprint,
            exists (select from pg_catalog.pg_database
                     where pg_database.oid = test_database.oid and datname = name) as exists
       from provisioning.test_database
      where is_template and state = 'ready' and template = $1`,
    [key],
  )
  const [found] = rows
  if (found === undefined) return undefined
  if (!found.exists) {
    await removeDatabase(client, found.oid)
    return undefined
  }
  const [fingerprint = '', large] = found.fingerprint.split(HAS_LARGE_OBJECTS)
  return { key, name: found.name, fingerprint, hasLargeObjects: large !== undefined }
}

async function makeTemplate(
  server: TestServer,
  recipe: TemplateRecipe,
  owner: string | undefined,
): Promise<void> {
  const { database, keeper, log } = server
  const startedAt = performance.now()
  const row = await addDatabase(database.pool, {
    ...{ home: database.name, template: recipe.key, isTemplate: true, keeper: keeper.number },
  })
  try {
    const locale = await readLocale(database.pool)
    await keeper.run((client) => createEmpty(client, { ...row, owner, locale }))
    const fingerprint = await migrate(server, row, recipe)
    await setAllowed(database.pool, row.name, false)
    await moveDatabase(database.pool, row, { state: 'ready', fingerprint })
  } catch (error) {
    await moveDatabase(database.pool, row, { state: 'dropping' }).catch(() => {})
    await dropDatabase(server, { ...row, state: 'dropping' }).catch(() => {})
    throw error
  }
  const durationMs = Math.round(performance.now() - startedAt)
  log.info({ template: row.name, through: recipe.last.number, durationMs }, 'made a template')
}

/** Migrates the new database by the code of a start, and records its baseline; returns its fingerprint. */
async function migrate(
  server: TestServer,
  row: TestDatabase,
  recipe: TemplateRecipe,
): Promise<string> {
  const { config, database, log, signal } = server
  const readUrl = () => urlOfDatabase(database.url, row.name)
  const sessions = createSessions({ readUrl, log })
  // Nothing else would notice that the server no longer answers in these.
  const stopListening = database.sessions.onEndAll((reason) => sessions.endAll(reason))
  let fingerprint = ''
  const hooks: ProvisionHooks = {
    async beforeMigrating(client) {
      await ensureStore(client)
      await markDisposable(client)
    },
    async afterMigrating(client, { applied }) {
      assertSame(recipe, applied.at(-1)?.hash)
      await runAllSeeds(client)
      // Copies then need no vacuum of their own for long, and have statistics.
      await client.query('vacuum (freeze, analyze)')
      if (!(await captureBaseline(client))) throw new Error('the template was written to meanwhile')
      fingerprint = (await readWholeFingerprint(client)).objects
      if (await hasLargeObjects(client)) fingerprint += HAS_LARGE_OBJECTS
    },
  }
  /** They are not recorded: another version of them makes another template. */
  async function runAllSeeds(client: Client): Promise<void> {
    if (recipe.seeds.length === 0) return
    const seeds = await readSeeds(config.seedsDir)
    if (describeSeeds(seeds) !== describeSeeds(recipe.seeds)) {
      throw new Error('the seeds were changed while a template was made')
    }
    const { settings } = await createToolSettings({
      ...{ client, config, database: { url: readUrl(), name: row.name } },
      placeholders: { [config.optionalSchema.placeholder]: recipe.optionalSchema },
    })
    await runSeeds(seeds, {
      open: (purpose) => sessions.open(purpose, { asNewConnection: true }),
      ...{ waitMs: config.databaseWaitMs, pool: sessions.pool, settings, signal },
      log: atDebug(log, row.name),
    })
  }

  try {
    await withFilesOf(config.migrationsDir, recipe.applied, (migrationsDir) =>
      provision({
        config: { ...config, migrationsDir },
        database: {
          get url() {
            return readUrl()
          },
          name: row.name,
          open: sessions.open,
          pool: sessions.pool,
          sessions,
        },
        optionalSchema: { ...config.optionalSchema, wanted: recipe.optionalSchema },
        log: atDebug(log, row.name),
        signal,
        onProgress: ({ detail }) => log.debug({ detail }, 'making a template'),
        hooks,
        reconnects: false,
      }),
    )
    return fingerprint
  } finally {
    stopListening()
    await sessions.close()
  }
}

function describeSeeds(seeds: readonly SeedVersion[]): string {
  return JSON.stringify(seeds.map(({ filename, hash }) => [filename, hash]))
}

/** Only that a template was made is worth a line. */
function atDebug(log: Log, database: string): Log {
  const debug = (data: object, message?: string) => log.debug({ database, ...data }, message)
  return { ...{ debug, info: debug, warn: debug, error: debug } } as Log
}

/** The files may have changed since this service has read them. */
function assertSame({ last }: TemplateRecipe, hash: string | undefined): void {
  if (hash === last.hash) return
  throw new ServiceError(
    'history_refused',
    `a test database needs the migrations of this database, up to ${last.number} with hash ${last.hash}; the ` +
      `files now end with ${hash ?? 'none'}: restart the service with the files that it was started with`,
  )
}

async function hasLargeObjects(client: Queryable): Promise<boolean> {
  const { rowCount } = await client.query('select from pg_catalog.pg_largeobject_metadata limit 1')
  return rowCount !== 0
}
