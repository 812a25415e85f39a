import { join } from 'node:path'
import t from 'tap'
import { projectDir } from '../support/server.ts'
import { startDatabase } from './database.ts'
import { buildTestImage, docker, inspect, needsEngine, testImage, until } from './docker.ts'
import { openStack } from './stack.ts'

const directory = join(projectDir, 'examples', 'bookshop')

if (!needsEngine.skip) await buildTestImage(t)

t.test('a folder of other migrations can be mounted into the image', needsEngine, async (t) => {
  const stack = openStack(t, {
    directory,
    service: 'migrations',
    env: { COMMANDBUS_DB: testImage },
  })

  await stack.compose('up', '--wait')

  const { migrations, schemas } = await readStatus(await stack.address())
  t.same(
    migrations.applied.map(({ name }) => name),
    ['books', 'sales'],
  )
  t.same(schemas.bookshop?.tables, ['books', 'sales'])
  t.notOk('commandbus' in schemas)
})

t.test('an image can be built from it that holds other migrations', needsEngine, async (t) => {
  const image = `${testImage}-bookshop`
  await docker(
    ...['build', '--quiet', '--tag', image, '--build-arg', `COMMANDBUS_DB=${testImage}`, directory],
  )
  t.teardown(() => docker('rmi', image))
  const { network, urlInNetwork } = await startDatabase(t)
  const service = await docker(
    ...['run', '--detach', '--publish=127.0.0.1:0:8080', `--network=${network}`],
    ...[`--env=DATABASE_URL=${urlInNetwork}`, image],
  )
  t.teardown(() => docker('rm', '--force', service))
  await until(
    () => inspect(service, '.State.Health.Status'),
    (health) => health === 'healthy',
  )

  const { migrations, schemas } = await readStatus(
    `http://${await docker('port', service, '8080')}`,
  )

  t.same(
    migrations.applied.map(({ name }) => name),
    ['books', 'sales'],
  )
  t.notOk('commandbus' in schemas)
})

interface Status {
  readonly migrations: { readonly applied: readonly { readonly name: string }[] }
  readonly schemas: Readonly<Record<string, { readonly tables: readonly string[] }>>
}

async function readStatus(address: string): Promise<Status> {
  return (await (await fetch(`${address}/status`)).json()) as Status
}
