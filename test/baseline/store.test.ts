import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { captureBaseline } from '../../src/baseline/capture.ts'
import { isDisposable } from '../../src/baseline/disposable.ts'
import { ensureStore, STORE_FORMAT } from '../../src/baseline/store.ts'
import { connect, createResetWorld } from '../reset/world.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'

test('the store has the format that the service expects', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })

  await ensureStore(pool)

  const { rows } = await pool.query('select format from provisioning.store_format')
  t.same(rows, [{ format: STORE_FORMAT }])
})

test('an older store is upgraded: the mark stays, and a rebuild has to capture a baseline', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.things (amount int)',
  })
  // Before format 3 there was neither view, and the columns had other names.
  await world.pool.query(`
    drop view provisioning.store_format, provisioning.this_database;
    alter table provisioning.baseline rename objects_fingerprint to catalog_sign;
    alter table provisioning.baseline rename parts_fingerprint to parts_sign;
    alter table provisioning.baseline_relation rename rows_fingerprint to rows_sign;
    update provisioning.baseline set format = 2`)
  const owner = await connect(world.url)
  t.teardown(() => owner.end())

  await ensureStore(owner)

  t.equal(await isDisposable(owner), true)
  await t.rejects(world.reset(), { code: 'no_baseline' })
  t.equal(await captureBaseline(owner), true)
  await world.reset()
})

test('a store with the number of another format is upgraded, too', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(pool)
  await pool.query('create or replace view provisioning.store_format as select 2 as format')

  await ensureStore(pool)

  const { rows } = await pool.query('select format from provisioning.store_format')
  t.same(rows, [{ format: STORE_FORMAT }])
})

test('a store of the current format is left as it is', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.things (amount int)',
  })

  await ensureStore(world.pool)

  await world.reset()
})

test('a store that this role cannot read is left as it is', async (t) => {
  const role = await createTestRole(t, 'nologin')
  const { pool, url } = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(pool)
  const client = await connect(url)
  t.teardown(() => client.end())
  await client.query(`set role ${role}`)

  await ensureStore(client)

  t.equal(await isDisposable(client), false)
})

test('the store can be created by hand, from its file', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  const file = new URL('../../src/baseline/store.sql', import.meta.url)

  await pool.query(readFileSync(file, 'utf8'))
  await pool.query(readFileSync(file, 'utf8'))

  t.equal((await pool.query('select from provisioning.this_database')).rowCount, 1)
})
