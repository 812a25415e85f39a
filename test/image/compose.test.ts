import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { docker, inspect, needsEngine, until } from './docker.ts'
import { addMigration, copyProject } from './project.ts'
import { openStack } from './stack.ts'

t.test('up --wait returns 0 with a stack that is healthy throughout', needsEngine, async (t) => {
  const stack = openStack(t, { directory: copyProject(t) })

  await stack.compose('up', '--wait')

  const ready = await fetch(`${await stack.address()}/readyz`)
  t.equal(ready.status, 200)
  const services = await stack.compose('ps', '--format', '{{.Service}} {{.Health}}')
  t.same(services.split('\n').sort(), [
    'commandbus-db healthy',
    'example healthy',
    'postgres healthy',
  ])
  t.equal(await stack.query('select count(*) from commandbus.command'), '0')

  await t.test('and nothing of it is an open door', async (t) => {
    const id = await stack.compose('ps', '--quiet', 'commandbus-db')
    const [container] = JSON.parse(await docker('inspect', id))
    t.equal(container.HostConfig.ReadonlyRootfs, true)
    t.same(container.HostConfig.CapDrop, ['ALL'])
    t.same(container.HostConfig.SecurityOpt, ['no-new-privileges:true'])
    t.ok(container.HostConfig.Memory > 0)
    t.ok(container.HostConfig.PidsLimit > 0)
    const commands = await docker('top', id, '-o', 'pid,args')
    t.notMatch(commands, /postgres:\/\//)
  })

  await t.test('and down takes all of it away, the profile dev as well', async (t) => {
    await stack.compose('--profile', 'dev', 'up', '--wait')
    await stack.compose('--profile', '*', 'down', '--volumes', '--timeout', '5')

    const label = `label=com.docker.compose.project=${stack.name}`
    t.equal(await docker('ps', '--all', '--quiet', '--filter', label), '')
    t.equal(await docker('volume', 'ls', '--quiet', '--filter', label), '')
    t.equal(await docker('network', 'ls', '--quiet', '--filter', label), '')
  })
})

t.test(
  'up --wait fails soon where a migration fails, and the log says why',
  needsEngine,
  async (t) => {
    const directory = copyProject(t)
    const stack = openStack(t, { directory })
    const filename = addMigration(directory, 'wrong', 'create table wrong (id no_such_type);')

    const { exitCode } = await stack.run('up', '--wait')
    const returnedAt = Date.now()

    t.not(exitCode, 0)
    const container = await stack.compose('ps', '--all', '--quiet', 'commandbus-db')
    const failedAt = Date.parse(await inspect<string>(container, '.State.FinishedAt'))
    t.ok(returnedAt - failedAt < 10_000, `${returnedAt - failedAt} ms after the service ended`)
    const log = await stack.compose('logs', 'commandbus-db')
    t.match(log, filename)
    t.match(log, '42704')
    const state = await stack.compose('ps', '--all', '--format', '{{.ExitCode}}', 'commandbus-db')
    t.equal(state, '4')
  },
)

t.test('a second up applies only what is new and keeps the data', needsEngine, async (t) => {
  const directory = copyProject(t)
  const stack = openStack(t, { directory })
  await stack.compose('up', '--wait')
  await stack.query(
    `insert into commandbus.batch (domain, batch_id) values ('kept', gen_random_uuid())`,
  )
  const listApplied = 'select filename, hash, date from graphile_migrate.migrations order by 1'
  const before = (await stack.query(listApplied)).split('\n')
  await stack.compose('down')
  const filename = addMigration(directory, 'more', 'create table more (id bigint primary key);')

  await stack.compose('up', '--wait')

  const after = (await stack.query(listApplied)).split('\n')
  t.same(after.slice(0, before.length), before)
  t.equal(after.length, before.length + 1)
  t.equal(await stack.query(`select count(*) from commandbus.batch where domain = 'kept'`), '1')
  const status = await fetch(`${await stack.address()}/status`)
  const { migrations } = (await status.json()) as {
    migrations: { applied: { filename: string }[] }
  }
  t.equal(migrations.applied.at(-1)?.filename, filename)
  const log = await stack.compose('logs', 'commandbus-db')
  t.match(log, '1 of 1')

  await t.test('and down -v then up starts afresh', async (t) => {
    await stack.compose('down', '--volumes')
    await stack.compose('up', '--wait')

    t.equal(await stack.query('select count(*) from commandbus.batch'), '0')
  })
})

t.test('the profile dev applies current.sql when it is saved', needsEngine, async (t) => {
  const directory = copyProject(t)
  const stack = openStack(t, { directory })
  await stack.compose('--profile', 'dev', 'up', '--wait')
  const hasTable = () => stack.query(`select to_regclass('public.tried') is not null`)
  const log = () => stack.compose('--profile', 'dev', 'logs', 'migrate-watch')
  // It watches once it has run what was there.
  await until(log, (text) => text.includes('watching '))
  t.equal(await hasTable(), 'f')

  appendFileSync(
    join(directory, 'migrations', 'current.sql'),
    '\ndrop table if exists public.tried;\ncreate table public.tried (id bigint primary key);\n',
  )

  await until(hasTable, (answer) => answer === 't')
  const fixture = 'commandbus/functions/sp_start_batch.sql'
  appendFileSync(join(directory, 'migrations', 'fixtures', fixture), '\nselect nonsense;\n')
  await until(log, (text) => text.includes('column "nonsense" does not exist'))
  t.match(await log(), `migrations/fixtures/${fixture}:`)
  const current = readFileSync(join(directory, 'migrations', 'current.sql'), 'utf8')
  t.match(current, `--!include ${fixture}\n`, 'it lists itself in the mounted folder')
  t.match(await (await fetch(`${await stack.address()}/readyz`)).json(), { status: 'ready' })
})
