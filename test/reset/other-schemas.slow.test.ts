import { type Test, test } from 'tap'
import { assertOfOtherTools, warnOfMissingSchemas } from '../../src/reset/other-schemas.ts'
import { rebuild } from '../../src/reset/rebuild.ts'
import { createResetSessions } from '../../src/reset/session.ts'
import { connect, createResetWorld, type ResetWorld, type WorldOptions } from './world.ts'

const SCHEMA = `
  create schema app;
  create table app.customer (id int primary key, name text);
  create type app.mood as enum ('good');
  create function app.changed() returns trigger language plpgsql as 'begin return null; end';
  insert into app.customer values (1, 'seed');`

/** What a worker library makes after the service is ready. */
const WORKER = (schema: string) => `
  create schema ${schema};
  create type ${schema}.state as enum ('new', 'done');
  create table ${schema}.version (number int);
  insert into ${schema}.version values (3);
  create table ${schema}.job (id bigserial primary key, state ${schema}.state default 'new') partition by list (id);
  create table ${schema}.job_1 partition of ${schema}.job for values in (1);
  create function ${schema}.add() returns bigint language sql as
    'insert into ${schema}.job default values returning id';
  create view ${schema}.waiting as select * from ${schema}.job;
  select ${schema}.add();`

const createWorld = (t: Test, options: Partial<WorldOptions> = {}) =>
  createResetWorld(t, {
    from: 'empty',
    schema: SCHEMA,
    others: { ignored: ['worker', 'Odd "schema"'], emptied: ['jobs'] },
    ...options,
  })

test('a schema that is ignored is neither compared nor touched', async (t) => {
  const world = await createWorld(t, { asOwner: true })
  await world.ownerPool.query(`${WORKER('worker')} ${WORKER('"Odd ""schema"""')}
    delete from app.customer`)

  const { result } = await world.reset()

  t.same(result.tables, { emptied: [], restored: ['app.customer'] })
  t.equal((await world.pool.query('select from worker.job')).rowCount, 1)
  t.same((await world.pool.query('select last_value from worker.job_id_seq')).rows, [
    { last_value: '1' },
  ])
})

test('a transaction in a schema that is ignored does not block, and is not ended', async (t) => {
  const world = await createWorld(t)
  await world.pool.query(WORKER('worker'))
  const worker = await connect(world.url)
  await worker.query('begin; lock table worker.job in access exclusive mode')

  await world.reset({ lockTimeoutMs: 0 })
  // A rebuild that is blocked by another session reports only that one.
  const reader = await connect(world.url)
  await reader.query(`set application_name = 'reader'; begin; select from app.customer`)
  const error = await dropEverything(world).catch((cause) => cause)
  t.match(error, { code: 'locked', extensions: { blockers: [{ application: 'reader' }] } })
  t.equal(error.extensions.blockers.length, 1)

  await reader.end()
  await dropEverything(world)
  await worker.query('commit')
  await worker.end()
})

test('a schema that is emptied may have other tables and sequences at each reset', async (t) => {
  const world = await createWorld(t, { asOwner: true })
  await world.reset()
  await world.ownerPool.query(WORKER('jobs'))

  const { result } = await world.reset()
  t.same(result.tables, { emptied: ['jobs.job', 'jobs.version'], restored: [] })
  t.same(result.sequences, ['jobs.job_id_seq'])
  t.same((await world.ownerPool.query('select jobs.add() as id')).rows, [{ id: '1' }])

  await world.ownerPool.query(`
    create table jobs.later (id serial, customer int references app.customer);
    insert into jobs.later (customer) values (1);
    create trigger no_delete before delete on jobs.version for each row
      execute function app.changed();
    insert into jobs.version values (4);
    update app.customer set name = 'changed'`)
  const { result: later } = await world.reset()
  t.same(later.tables, {
    emptied: ['jobs.job', 'jobs.later', 'jobs.version'],
    restored: ['app.customer'],
  })
  t.same(later.sequences, ['jobs.job_id_seq', 'jobs.later_id_seq'])
  t.same(later.partitions, { dropped: [] })

  // What is in them does not matter to a start that has migrations to apply.
  await world.ownerPool.query('insert into jobs.version values (5); select jobs.add()')
  t.equal(await (await world.sessions.open()).isClean(), true)

  await world.ownerPool.query('drop schema jobs cascade')
  t.same((await world.reset()).result.tables, { emptied: [], restored: [] })
})

test('the setting counts for a baseline that was captured without it', async (t) => {
  const world = await createWorld(t, {
    schema: `${SCHEMA} ${WORKER('worker')} ${WORKER('jobs')}`,
    others: { ignored: [], emptied: [] },
  })
  const { sessions } = await createOther(t, world, { ignored: ['worker'], emptied: ['jobs'] })
  await world.pool.query(`
    drop schema worker cascade;
    alter table jobs.version add at timestamptz;
    update app.customer set name = 'changed'`)

  const session = await sessions.open()
  const changes = await session.attempt({ lockTimeoutMs: 1000, lockFirst: undefined })

  t.same(changes.tables, { emptied: ['jobs.job', 'jobs.version'], restored: ['app.customer'] })
})

test('rows of an ignored schema that refer to rows that have to go are named', async (t) => {
  const world = await createWorld(t)
  await world.pool.query(`${WORKER('worker')}
    create table worker.of (customer int constraint of_ours references app.customer);
    insert into app.customer values (2, 'dirt');
    insert into worker.of values (2)`)

  await t.rejects(world.reset(), {
    code: 'ignored_objects_depend',
    statusCode: 409,
    extensions: { objects: ['rows of worker.of (foreign key of_ours)'] },
  })
  t.equal((await world.pool.query('select from app.customer')).rowCount, 2)
})

test('a role that may not empty a schema is refused by name', async (t) => {
  const world = await createWorld(t, { asOwner: true })
  await world.pool.query(`${WORKER('jobs')} grant usage on schema jobs to public`)

  await t.rejects(world.reset(), {
    code: 'not_owner',
    extensions: { relations: ['jobs.job', 'jobs.job_id_seq', 'jobs.version'] },
  })
})

test('a rebuild keeps the schemas of other tools, and empties those that are to be emptied', async (t) => {
  const world = await createWorld(t)
  await world.pool.query(`${WORKER('worker')} ${WORKER('jobs')}
    create function worker.watch() returns event_trigger language plpgsql as 'begin end';
    create event trigger of_worker on sql_drop execute function worker.watch()`)

  await dropEverything(world)

  const { rows } = await world.pool.query(
    `select to_regclass('app.customer') as ours, (select count(*)::int from worker.job) as kept,
            (select count(*)::int from jobs.job) as emptied, jobs.add() as first,
            (select count(*)::int from pg_event_trigger) as beside`,
  )
  t.same(rows, [{ ours: null, kept: 1, emptied: 0, first: '1', beside: 1 }])
})

test('a rebuild is refused if ignored schemas need what it drops, and names all of it', async (t) => {
  const world = await createWorld(t)
  await world.pool.query(`${WORKER('worker')} ${WORKER('jobs')}
    create view worker.names as select name from app.customer;
    create table worker.feeling (mood app.mood);
    create table jobs.of (customer int constraint of_ours references app.customer);
    create trigger changed after insert on jobs.version execute function app.changed();
    create view app.jobs as select * from worker.job`)

  const refusal = await dropEverything(world).catch((error) => error)

  t.match(refusal, {
    code: 'ignored_objects_depend',
    extensions: {
      objects: [
        'column mood of table worker.feeling (depends on type app.mood)',
        'constraint of_ours on table jobs.of (depends on column id of table app.customer)',
        'constraint of_ours on table jobs.of (depends on index app.customer_pkey)',
        'trigger changed on table jobs.version (depends on function app.changed())',
        'view worker.names (depends on column name of table app.customer)',
      ],
    },
  })
  t.equal(refusal.extensions.objects.length, 5)
  t.equal((await world.pool.query('select from app.customer')).rowCount, 1)
})

test('a schema in which a migration made something belongs to the migrations', async (t) => {
  const world = await createWorld(t, { schema: '' })
  const client = await connect(world.url)
  await client.query(`begin; ${SCHEMA}
    insert into graphile_migrate.migrations (hash, filename) values ('sha1:2', '000002.sql'); commit`)
  await client.query(WORKER('worker'))

  await assertOfOtherTools(client, { ignored: ['worker'], emptied: ['public'] })
  await t.rejects(assertOfOtherTools(client, { ignored: ['worker'], emptied: ['app'] }), {
    code: 'wrong_settings',
    exitCode: 2,
    message:
      'RESET_EMPTY_SCHEMAS: given "app", expected a schema that another tool made; ' +
      'migration 000002.sql made schema app',
  })
  await client.end()
})

async function createOther(t: Test, world: ResetWorld, others: WorldOptions['others']) {
  const sessions = createResetSessions({
    connect: () => connect(world.url),
    database: world.database,
    ...(others && { others }),
  })
  t.teardown(() => sessions.close())
  return { sessions }
}

async function dropEverything(world: ResetWorld): Promise<void> {
  const client = await connect(world.resetUrl)
  try {
    await rebuild({
      sessions: world.sessions,
      database: world.database,
      lock: { lockTimeoutMs: 300, terminateBlockers: false },
      migrate: async (hooks) => hooks.afterLocking?.(client),
      onDropping() {},
      onDropped() {},
    })
  } finally {
    await client.end()
  }
}

test('a schema that is not there is warned of, by its setting', async (t) => {
  const world = await createWorld(t)
  await world.pool.query('create schema worker')
  const client = await connect(world.url)
  const warnings: unknown[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (text: unknown) => warnings.push(text) }

  await warnOfMissingSchemas(client, { ignored: ['worker', 'wroker'], emptied: ['jobs'] }, log)

  t.match(warnings, [
    /^RESET_IGNORE_SCHEMAS: there is no schema "wroker" yet; check the spelling/,
    /^RESET_EMPTY_SCHEMAS: there is no schema "jobs" yet/,
  ])
})
