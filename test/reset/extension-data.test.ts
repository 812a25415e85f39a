import { test } from 'tap'
import { captureBaseline } from '../../src/baseline/capture.ts'
import { emptyExtensionData } from '../../src/reset/extension-data.ts'
import { connect, createResetWorld, type ResetWorld } from './world.ts'

/** Turns tables into an extension's own data, as pg_extension_config_dump does in the extension's script. */
const EXTENSION = `
  create schema ext;
  create table ext.config (name text primary key, is_shipped bool not null default false);
  create table ext.of_config (name text references ext.config);
  create table ext.internal (name text);
  create sequence ext.numbers;
  insert into ext.config values ('shipped', true);
  insert into ext.internal values ('kept');
  grant usage on schema ext to public;
  create function ext.fired() returns trigger language plpgsql as
    'begin insert into ext.internal values (tg_op); return null; end';
  create trigger fired after delete on ext.config execute function ext.fired();
  alter extension plpgsql add schema ext;
  alter extension plpgsql add table ext.config;
  alter extension plpgsql add table ext.of_config;
  alter extension plpgsql add table ext.internal;
  alter extension plpgsql add sequence ext.numbers;
  alter extension plpgsql add function ext.fired();
  update pg_extension
     set extconfig = array['ext.config', 'ext.of_config', 'ext.numbers']::regclass[]::oid[],
         extcondition = array['where not is_shipped', '', '']
   where extname = 'plpgsql';`

const OURS = `insert into ext.config values ('ours'); insert into ext.of_config values ('ours');
              select nextval('ext.numbers')`

async function read(world: ResetWorld) {
  const { rows } = await world.pool.query(
    `select array(select name from ext.config order by 1) as config,
            array(select name from ext.of_config) as of_config,
            (select is_called from ext.numbers) as is_called,
            array(select name from ext.internal) as internal`,
  )
  return rows[0]
}

test('the data tables of an extension are restored, and its other tables left alone', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: `${EXTENSION} ${OURS}` })
  const before = await read(world)
  await world.pool.query(`
    delete from ext.of_config;
    update ext.config set name = 'other' where not is_shipped;
    select nextval('ext.numbers')`)

  const { result } = await world.reset()

  t.same(result.tables, { emptied: [], restored: ['ext.config', 'ext.of_config'] })
  t.same(result.sequences, ['ext.numbers'])
  // The extension's own trigger has fired.
  t.same(await read(world), { ...before, internal: ['kept', 'DELETE'] })
})

test('a rebuild deletes what an extension did not ship', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: `${EXTENSION} ${OURS}` })
  const client = await connect(world.url)

  await emptyExtensionData(client, { ignored: [], emptied: [] })

  t.match(await read(world), { config: ['shipped'], of_config: [], is_called: false })
  await client.query(OURS)
  await emptyExtensionData(client, { ignored: ['ext'], emptied: [] })
  t.match(await read(world), { config: ['ours', 'shipped'] })
  await client.end()
})

test('an extension’s table that the role may only read is refused once it has changed', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', asOwner: true })
  await world.pool.query(`${EXTENSION} grant select on ext.config, ext.of_config to public`)
  await recapture(world)

  await world.reset()
  await world.pool.query(`insert into ext.config values ('ours')`)

  await t.rejects(world.reset(), {
    code: 'not_owner',
    extensions: { relations: ['ext.config'] },
  })
})

test('the privileges on an extension’s table are enough to restore it', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', asOwner: true })
  await world.pool.query(`${EXTENSION}
    grant select, insert, delete on ext.config, ext.of_config to public;
    grant insert on ext.internal to public`)
  await recapture(world)
  await world.pool.query(`insert into ext.config values ('ours')`)

  const { result } = await world.reset()

  t.same(result.tables.restored, ['ext.config'])
})

/** Captures the baseline again, as the role that resets. */
async function recapture({ resetUrl, sessions }: ResetWorld): Promise<void> {
  const client = await connect(resetUrl)
  await captureBaseline(client)
  await client.end()
  sessions.forgetFunction()
}
