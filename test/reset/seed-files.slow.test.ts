import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createMigrationsFolder, writeCommitted } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'
import { startResetting, THINGS, TOKEN } from './running.ts'

const SEEDS = {
  '10-things.sql': `insert into public.things (label) values ('from 10');`,
  '20-more.sql': `insert into public.things (label) select label || ', again' from public.things;`,
}

async function createWorld(t: Test, seeds: Readonly<Record<string, string>> = SEEDS) {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const migrationsDir = createMigrationsFolder(t, [THINGS.first])
  const folder = join(migrationsDir, 'seeds')
  mkdirSync(folder)
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
  for (const [name, text] of Object.entries(seeds)) write(name, text)
  return {
    url,
    pool,
    folder,
    write,
    migrationsDir,
    env: { DATABASE_URL: url, MIGRATIONS_DIR: migrationsDir },
    async readLabels() {
      const { rows } = await pool.query<{ label: string }>('select label from things order by id')
      return rows.map(({ label }) => label)
    },
  }
}

const SEEDED = ['seed', 'from 10', 'seed, again', 'from 10, again']

test('seeds run once, in order, and a reset brings their rows back', async (t) => {
  const world = await createWorld(t)
  const first = await startResetting(t, world.env)
  t.same(await world.readLabels(), SEEDED)
  await world.pool.query(THINGS.dirt)

  t.match(await first.reset(), { status: 200, body: { tables: { restored: ['public.things'] } } })
  t.same(await world.readLabels(), SEEDED)

  await first.stop()
  const second = await startResetting(t, world.env)
  t.same(await world.readLabels(), SEEDED, 'a restart runs none again')
  t.equal((await second.reset()).status, 200)
  t.match(await second.reset({ mode: 'rebuild' }), { status: 200 })
  t.same(await world.readLabels(), SEEDED)
  await second.stop()

  // A migration that comes later runs on the database that has the seeds.
  writeCommitted(world.migrationsDir, [THINGS.first, THINGS.second])
  const third = await startResetting(t, world.env)
  await world.pool.query(THINGS.dirt)
  t.equal((await third.reset()).status, 200)
  t.same(await world.readLabels(), [...SEEDED, 'second seed'])
})

test('a changed seed is a change of the schema, while running and after a restart', async (t) => {
  const world = await createWorld(t)
  const first = await startResetting(t, world.env)
  world.write('20-more.sql', '')
  world.write('30-last.sql', `insert into public.things (label) values ('last')`)
  rmSync(join(world.folder, '10-things.sql'))
  const refusal = {
    status: 409,
    body: {
      code: 'schema_changed',
      remedy: 'rebuild',
      differences: [
        { change: 'taken away', kind: 'seed', name: '10-things.sql' },
        { change: 'changed', kind: 'seed', name: '20-more.sql' },
        { change: 'added', kind: 'seed', name: '30-last.sql' },
      ],
    },
  }
  t.match(await first.reset(), refusal)

  await first.stop()
  const second = await startResetting(t, world.env)
  await second.waitForLog('POST /reset would fail')
  t.match(await second.reset(), refusal)
  t.same(await world.readLabels(), SEEDED)
  t.match(await second.reset({ mode: 'rebuild' }), { status: 200 })
  t.same(await world.readLabels(), ['seed', 'last'])
  await world.pool.query(THINGS.dirt)
  t.equal((await second.reset()).status, 200)
  t.same(await world.readLabels(), ['seed', 'last'])
})

test('a seed that fails ends the start with its file and line, and the next start goes on', async (t) => {
  const world = await createWorld(t, {
    ...SEEDS,
    '15-bad.sql': `insert into public.things (label) values ('lost');\n\nselect 1 / 0;`,
  })
  const start = () => startService(t, { ...world.env, RESET_ENABLED: 'true', RESET_TOKEN: TOKEN })
  const first = start()

  t.match(await first.ended, { code: 4 })
  t.match(first.output(), /seed 15-bad\.sql failed: division by zero \(22012\); line 3: select 1/)
  t.same(await world.readLabels(), ['seed', 'from 10'])

  world.write('15-bad.sql', 'begin; select 1; commit')
  const second = start()
  t.match(await second.ended, { code: 4 })
  t.match(second.output(), /seed 15-bad\.sql was refused: line 1/)

  world.write('15-bad.sql', `insert into public.things (label) values ('repaired')`)
  const third = await startResetting(t, world.env)
  const labels = await world.readLabels()
  t.same(labels.slice(0, 3), ['seed', 'from 10', 'repaired'])
  t.equal(labels.length, 6)
  await world.pool.query(THINGS.dirt)
  t.equal((await third.reset()).status, 200)
  t.same(await world.readLabels(), labels)
})

test('a seed that is not UTF-8 is refused before anything is run', async (t) => {
  const world = await createWorld(t)
  writeFileSync(join(world.folder, '30-latin.sql'), Buffer.from("select '\xfc'", 'latin1'))
  const service = startService(t, { ...world.env, RESET_ENABLED: 'true', RESET_TOKEN: TOKEN })

  t.match(await service.ended, { code: 5 })
  t.match(service.output(), /30-latin\.sql is not UTF-8: line 1/)
  t.equal((await world.pool.query(`select to_regclass('public.things') as t`)).rows[0].t, null)
})

test('a rebuild tries the seeds, and one that fails leaves the database as it was', async (t) => {
  const world = await createWorld(t)
  const service = await startResetting(t, world.env)
  await world.pool.query(THINGS.dirt)
  world.write('20-more.sql', 'select missing')

  t.match(await service.reset({ mode: 'rebuild' }), {
    status: 500,
    body: { code: 'seed_failed', seed: '20-more.sql', line: 1, text: 'select missing' },
  })

  t.same(await world.readLabels(), ['dirt', 'more'])
  t.match(await service.get('/readyz'), { status: 200 })
})

test('without reset, seeds are ignored, and the log says so', async (t) => {
  const world = await createWorld(t, { '10-bad.sql': 'select 1 / 0' })
  const service = startService(t, world.env)
  await service.waitForReady()

  await service.waitForLog('seeds are ignored')
  t.same(await world.readLabels(), ['seed'])
})

test('seeds do not run on a database that was in use', async (t) => {
  const world = await createWorld(t)
  const off = startService(t, world.env)
  await off.waitForReady()
  await off.stop()
  const service = await startResetting(t, world.env)

  t.same(await world.readLabels(), ['seed'])
  await world.pool.query(`select provisioning.allow_reset(current_database())`)
  t.match(await service.reset(), { status: 409, body: { code: 'no_baseline' } })
  t.equal((await service.reset({ mode: 'rebuild' })).status, 200)
  t.same(await world.readLabels(), SEEDED)
})

test('a seed has the placeholders of the migrations, and its own session', async (t) => {
  const world = await createWorld(t, {
    '10-a.sql': `set search_path = nowhere; set role pg_monitor`,
    '20-b.sql': `insert into things (label) values (':GREETING' || current_setting('search_path'))`,
  })
  writeFileSync(join(world.migrationsDir, '.gmrc'), `{"placeholders": {":GREETING": "hello "}}`)
  await startResetting(t, { ...world.env, SEEDS_DIR: world.folder })

  t.same(await world.readLabels(), ['seed', 'hello "$user", public'])
})
