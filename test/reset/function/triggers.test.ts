import { type Test, test } from 'tap'
import { createResetWorld, type ResetWorld } from '../world.ts'

/** A table with one row, and a trigger for each state that pg_trigger.tgenabled can have. */
const SCHEMA = `
  create table public.log (trigger_name text);
  create table public.watched (id int);
  insert into public.watched values (1);
  create function public.tg_watched__log() returns trigger language plpgsql
    as 'begin insert into public.log values (tg_name); return null; end';
  ${['on_origin', 'on_replica', 'always', 'disabled']
    .map(
      (name) =>
        `create trigger ${name} after insert or delete or truncate on public.watched
           for each statement execute function public.tg_watched__log();`,
    )
    .join('\n')}
  alter table public.watched
    enable replica trigger on_replica, enable always trigger always, disable trigger disabled`

for (const role of ['origin', 'replica']) {
  test(`no trigger fires under session_replication_role = ${role}, and each keeps its state`, async (t) => {
    const world = await createWorldWithRole(t, role)
    const before = await readTriggers(world)
    await world.pool.query('update public.watched set id = 2')

    const { result } = await world.reset()

    t.same(result.tables, { emptied: [], restored: ['public.watched'] })
    t.same((await world.pool.query('select trigger_name from public.log')).rows, [])
    t.same(await readTriggers(world), before)
  })
}

async function createWorldWithRole(t: Test, role: string): Promise<ResetWorld> {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  await world.pool.query(`alter database ${world.name} set session_replication_role to ${role}`)
  return world
}

async function readTriggers({ pool }: ResetWorld): Promise<unknown[]> {
  const { rows } = await pool.query(
    `select tgname as name, tgenabled as enabled
       from pg_trigger where tgrelid = 'public.watched'::regclass order by tgname`,
  )
  return rows
}
