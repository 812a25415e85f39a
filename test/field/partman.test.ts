import { existsSync } from 'node:fs'
import { test } from 'tap'
import { startResetting } from '../reset/running.ts'
import { connect } from '../reset/world.ts'
import { hasPostgres15, startPostgres15 } from '../support/debian-server.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'

const isInstalled =
  hasPostgres15() && existsSync('/usr/share/postgresql/15/extension/pg_partman.control')

const MIGRATION = `
  create schema if not exists partman;
  create extension if not exists pg_partman schema partman;
  create schema app;
  create table app.event (at timestamptz not null) partition by range (at);
  select partman.create_parent('app.event', 'at', 'native', 'daily');`

test('what pg_partman keeps is restored, and partitions that it made since are dropped', async (t) => {
  if (!isInstalled) {
    t.pass('pg_partman', { skip: 'NOT TESTED: needs Debian’s package postgresql-15-partman' })
    return
  }
  const url = await startPostgres15(t)
  const service = await startResetting(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, [MIGRATION]),
  })
  const client = await connect(url)
  const read = async () => {
    const { rows } = await client.query(
      `select (select jsonb_agg(part_config) from partman.part_config) as config,
              (select array_agg(relid::text order by 1) from pg_partition_tree('app.event')) as parts,
              (select count(*)::int from app.event) as events`,
    )
    return rows[0]
  }
  const before = await read()
  t.equal(before.config.length, 1)
  const dirt = `
    update partman.part_config set premake = 10, retention = '90 days';
    insert into app.event values (now());
    select partman.run_maintenance('app.event')`
  await client.query(dirt)
  t.ok((await read()).parts.length > before.parts.length, 'pg_partman made partitions')

  const { status, body } = await service.reset()

  t.equal(status, 200, JSON.stringify(body))
  t.match(body.tables.restored, ['partman.part_config'])
  t.ok(body.partitions.dropped.length > 0)
  t.same(await read(), before)

  await client.query(dirt)
  t.match(await service.reset({ mode: 'rebuild' }), { status: 200 })
  t.same((await read()).config.length, 1)
  await client.query(dirt)
  t.equal((await service.reset()).status, 200)
  t.equal((await read()).events, 0)
  await client.end()
})
