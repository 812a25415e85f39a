import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { OPTIONAL_SCHEMA } from '../../src/config/config.ts'
import { LearnedSecrets } from '../../src/config/learned-secrets.ts'
import { prepareTrial } from '../../src/migrations/trial.ts'
import { rebuild } from '../../src/reset/rebuild.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestRole } from '../support/roles.ts'
import { takeSnapshot } from './snapshot.ts'
import { connect, createResetWorld, type ResetWorld } from './world.ts'

const THINGS = `create table public.things (id int primary key); insert into public.things values (1)`

/** Migrations that fail when they run for the second time on a server, or for the first time anywhere. */
const FAILING: readonly (readonly [
  what: string,
  migration: (role: string) => string,
  sqlstate: string,
  line: number,
])[] = [
  ['creates a role that exists', (role) => `select 1;\ncreate role ${role}`, '42710', 6],
  ['creates an extension that stays', () => 'create extension pgmq', '42710', 5],
  ['uses a table that is missing', () => 'select 1;\n\nselect from missing', '42P01', 7],
  [
    'breaks a constraint that is checked at its end',
    () => `create table public.parts (thing int references public.things deferrable initially deferred);
           insert into public.parts values (2)`,
    '23503',
    0,
  ],
]

for (const [what, migration, sqlstate, line] of FAILING) {
  test(`a rebuild is refused, and nothing is dropped, if a migration ${what}`, async (t) => {
    const role = await createTestRole(t, 'nologin')
    const world = await createWorld(t)
    const before = await takeSnapshot(world.pool)

    const error = await tryRebuild(t, world, [THINGS, migration(role)]).catch((cause) => cause)

    t.match(error, { code: 'migration_failed', extensions: { sqlstate } })
    t.match(error.message, /000002-step-2\.sql failed: .*the database is as it was/)
    if (line > 0) t.equal(error.extensions.line, line)
    t.same(await takeSnapshot(world.pool), before)
  })
}

/** Migrations that can run again, though what they make outlives a rebuild. */
const REPEATABLE: readonly (readonly [what: string, migration: (role: string) => string])[] = [
  [
    'creates a role unless it exists',
    (role) => `do $$
               begin
                 create role ${role};
               exception
                 when duplicate_object then null;
               end
               $$`,
  ],
  ['creates an extension unless it exists', () => 'create extension if not exists pgmq'],
  ['creates a role that is new', (role) => `create role ${role}_new; drop role ${role}_new`],
]

for (const [what, migration] of REPEATABLE) {
  test(`a rebuild goes on if a migration ${what}`, async (t) => {
    const role = await createTestRole(t, 'nologin')
    const world = await createWorld(t)

    const { dropped, logged } = await tryRebuild(t, world, [THINGS, migration(role)])

    t.equal(dropped, true)
    t.same(logged, ['tried all migrations before dropping anything'])
  })
}

test('each migration is tried in a session as a new connection has it', async (t) => {
  const world = await createWorld(t)
  await world.pool.query(`alter database ${world.name} set search_path = public, pg_temp`)

  const { logged } = await tryRebuild(t, world, [
    `${THINGS}; select set_config('search_path', '', false); create temp table scratch ();
     set session_replication_role = replica; prepare one as select 1`,
    `create table children (id int references things); create temp table scratch ();
     prepare one as select 1`,
    `do $$
     begin
       insert into children values (7);
       raise exception 'an orphan was accepted';
     exception when foreign_key_violation then null;
     end
     $$`,
  ])

  t.same(logged, ['tried all migrations before dropping anything'])
})

test('a migration that needs a transaction of its own is not tried, nor what follows it', async (t) => {
  for (const [what, migration] of [
    ['outside a transaction', '--! no-transaction\nselect 1 / 0'],
    ['first in its transaction', 'set transaction isolation level serializable; select 1'],
  ] as const) {
    const world = await createWorld(t)

    const { dropped, logged } = await tryRebuild(t, world, [THINGS, migration, 'select 1 / 0'])

    t.equal(dropped, true, what)
    t.same(logged, ['migrations that cannot be tried before a rebuild drops everything'], what)
  }
})

test('a large migration is tried from its file, and its failing line is named', async (t) => {
  const world = await createWorld(t)
  const before = await takeSnapshot(world.pool)
  const rows = Array.from(
    { length: 9000 },
    (_, row) => `insert into public.things values (${row});`,
  )
  const large = ['create table public.things (id int);', ...rows, 'select 1 / 0;'].join('\n')
  t.ok(large.length > 300_000, 'it is read in pieces')

  const error = await tryRebuild(t, world, [large]).catch((cause) => cause)

  t.match(error, {
    code: 'migration_failed',
    extensions: { sqlstate: '22012', text: 'select 1 / 0;' },
  })
  t.equal(error.extensions.line, 4 + rows.length + 2)
  t.same(await takeSnapshot(world.pool), before)
})

test('a trial leaves nothing behind, whatever it ran', async (t) => {
  const world = await createWorld(t)
  const role = `test_role_of_a_trial_${world.name}`

  await t.rejects(tryRebuild(t, world, [`create role ${role}`, 'select 1 / 0']), {
    code: 'migration_failed',
  })

  t.equal((await world.pool.query('select from pg_roles where rolname = $1', [role])).rowCount, 0)
})

test('placeholders are replaced for the trial, and pgSettings apply', async (t) => {
  const world = await createWorld(t)
  const gmrc = `{placeholders: {":TABLE_NAME": "parts"}, pgSettings: {search_path: "public"}}`

  const { logged } = await tryRebuild(
    t,
    world,
    [
      `create table :TABLE_NAME (); create table public.":E2E_SCHEMA" ()`,
      'select from parts, "on"',
    ],
    gmrc,
  )

  t.same(logged, ['tried all migrations before dropping anything'])
})

test('a lock that a migration needs and another session holds is waited for, and reported', async (t) => {
  const world = await createWorld(t)
  const other = await connect(world.url)
  t.teardown(() => other.end())
  await other.query('begin; select pg_advisory_xact_lock(4711)')

  await t.rejects(
    tryRebuild(t, world, [`set local lock_timeout = 50; select pg_advisory_xact_lock(4711)`]),
    { code: 'locked' },
  )

  t.equal((await world.pool.query('select from public.things')).rowCount, 1)
})

function createWorld(t: Test): Promise<ResetWorld> {
  return createResetWorld(t, { from: 'empty', schema: `${THINGS}; create extension pgmq` })
}

/** Rebuilds up to the drop, which is real; the migrations are only tried. */
async function tryRebuild(t: Test, world: ResetWorld, migrations: string[], gmrc?: string) {
  const migrationsDir = createMigrationsFolder(t, migrations)
  if (gmrc !== undefined) writeFileSync(join(migrationsDir, '.gmrc'), gmrc)
  const client = await connect(world.resetUrl)
  t.teardown(() => client.end())
  const logged: string[] = []
  const note = (...args: readonly unknown[]) => void logged.push(String(args.at(-1)))
  const log = { debug() {}, error() {}, info: note, warn: note }
  const { signal } = new AbortController()
  const { name, resetUrl: url } = world
  let dropped = false
  await rebuild({
    sessions: world.sessions,
    database: world.database,
    lock: { lockTimeoutMs: 300, terminateBlockers: false },
    migrate: async (hooks) => hooks.afterLocking?.(client),
    trial: {
      prepare: (session) =>
        prepareTrial(session, {
          config: { migrationsDir, placeholderVariables: {}, secrets: new LearnedSecrets() },
          database: { name, url },
          optionalSchema: { ...OPTIONAL_SCHEMA, wanted: undefined },
          ...{ log, signal },
        }),
      openSession: () => connect(url),
      log,
    },
    onDropping() {},
    onDropped() {
      dropped = true
    },
  })
  return { dropped, logged }
}
