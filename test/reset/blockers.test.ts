import { test } from 'tap'
import { type Blocker, listBlockers, terminateBlockers } from '../../src/reset/blockers.ts'
import { connect, copyDatabase, createResetWorld, readPid } from './world.ts'

test('transactions in a template copy, whose tables have the same oids, are no blockers', async (t) => {
  const schema = 'create table public.things (amount int)'
  const world = await createResetWorld(t, { from: 'empty', schema })
  const copyUrl = await copyDatabase(t, world)
  await world.reset()
  const [inCopy, here] = [await connect(copyUrl), await connect(world.url)]
  t.teardown(() => Promise.all([inCopy.end(), here.end()].map((end) => end.catch(() => {}))))
  await inCopy.query('begin; insert into public.things values (1)')
  await here.query('begin; insert into public.things values (1)')
  const pid = await readPid(here)

  const { terminated } = await world.reset({ lockTimeoutMs: 50, terminateBlockers: true })

  t.same(
    terminated.map((blocker) => blocker.pid),
    [pid],
  )
  await inCopy.query('commit')
  t.equal((await inCopy.query('select from public.things')).rowCount, 1)
})

test('a lock of a reader blocks only what excludes readers', async (t) => {
  const schema = 'create table public.things (amount int); create table public.others (amount int)'
  const world = await createResetWorld(t, { from: 'empty', schema })
  const reader = await connect(world.url)
  t.teardown(() => reader.end())
  await reader.query('begin; select from public.things')
  const pid = await readPid(reader)
  const find = async (relation: string | undefined, excludesReaders: boolean) => {
    const search = { oids: [], relation, excludesReaders, minAgeMs: 0 }
    return (await listBlockers(world.pool, search)).map((blocker) => blocker.pid)
  }

  t.same(await find('public.things', false), [])
  t.same(await find('public.things', true), [pid])
  t.same(await find('public.others', true), [])
  t.same(await find(undefined, true), [pid], 'an unknown relation may be any')
})

test('a prepared transaction that ends before it can be rolled back is no error', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.things ()',
  })
  const ended: Blocker = {
    pid: null,
    gid: `ended in ${world.name}`,
    application: null,
    state: null,
    ageMs: 1,
    query: null,
    mayNotEnd: false,
  }

  t.same(await terminateBlockers(world.pool, [ended]), [])
})
