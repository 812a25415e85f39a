import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type DatabaseContainer, startDatabase } from './database.ts'
import {
  buildTestImage,
  docker,
  inspect,
  needsEngine,
  testImage,
  tryDocker,
  until,
} from './docker.ts'
import { addMigration, copyProject } from './project.ts'

/** As the compose file and the Kubernetes manifests run it. */
const hardened = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges']

t.test('the image ends with 2 and names every wrong setting', needsEngine, async (t) => {
  await buildTestImage(t)

  const missing = await tryDocker(['run', '--rm', ...hardened, testImage])
  t.equal(missing.exitCode, 2)
  t.match(missing.output, 'DATABASE_URL')

  const wrong = await tryDocker(['run', '--rm', '--env=PORT=x', '--env=LOG_LEVEL=y', testImage])
  t.equal(wrong.exitCode, 2)
  for (const name of ['DATABASE_URL', 'PORT', 'LOG_LEVEL']) t.match(wrong.output, name)
})

t.test('the service in a container', needsEngine, async (t) => {
  const database = await startDatabase(t)
  await buildTestImage(t)

  await t.test('ends with 3 when the database is not reached in time', async (t) => {
    const url = database.urlInNetwork.replace('@database', '@nowhere')
    const options = [...hardened, `--env=DATABASE_URL=${url}`, '--env=DATABASE_WAIT_SECONDS=1']

    t.equal((await tryDocker(['run', '--rm', ...options, testImage])).exitCode, 3)
  })

  await t.test('runs as PID 1, writes nothing, and stops with 0 on a signal', async (t) => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      const service = await startService(t, database)
      await until(
        () => readHealth(service),
        (health) => health === 'healthy',
      )
      t.match(await docker('top', service, '-o', 'pid,args'), /\n\d+ +node (?:--\S+ )*server\.js$/)
      t.equal(await docker('diff', service), '')

      await docker('kill', `--signal=${signal}`, service)

      t.equal(await docker('wait', service), '0', signal)
    }
  })

  await t.test('ends with 4 when a migration fails, with 5 when the history does', async (t) => {
    const directory = copyProject(t)
    const folder = join(directory, 'migrations')
    const options = [
      ...[
        '--rm',
        ...hardened,
        `--network=${database.network}`,
        `--volume=${folder}:/app/migrations:ro`,
        // As the files' owner: the image needs no particular user, and nobody else may read them.
        `--user=${process.getuid?.()}:${process.getgid?.()}`,
      ],
      `--env=DATABASE_URL=${database.urlInNetwork}`,
    ]
    const filename = addMigration(directory, 'wrong', 'select 1 / 0;')
    const failed = await tryDocker(['run', ...options, testImage])
    t.equal(failed.exitCode, 4)
    t.match(failed.output, '22012')

    appendFileSync(join(folder, 'committed', filename), '-- changed\n')
    const refused = await tryDocker(['run', ...options, testImage])
    t.equal(refused.exitCode, 5)
    t.match(refused.output, filename)
  })

  await t.test('migrates once, as a Job does, and ends as the service would', async (t) => {
    const once = (...options: string[]) =>
      tryDocker(
        ['run', '--rm', ...hardened, `--network=${database.network}`, '--entrypoint=node']
          .concat([`--env=DATABASE_URL=${database.urlInNetwork}`, ...options])
          .concat([testImage, 'migrate-once.js']),
      )

    const done = await once()
    t.equal(done.exitCode, 0)
    t.match(done.output, '"msg":"ready"')
    t.equal((await once('--env=PORT=x')).exitCode, 2)
  })

  await t.test(
    'is starting, healthy, unhealthy without its database, and healthy again',
    async (t) => {
      const { container } = database
      await docker('stop', '--time=2', container.getId())
      const service = await startService(t, database)
      const lastAnswer = async () => {
        const log = await inspect<{ Output: string }[] | null>(service, '.State.Health.Log')
        return log?.at(-1)?.Output ?? ''
      }
      await until(lastAnswer, (answer) => answer.includes('waiting_for_database'))
      t.equal(await readHealth(service), 'starting')

      await docker('start', container.getId())
      await until(
        () => readHealth(service),
        (health) => health === 'healthy',
      )

      await docker('stop', '--time=2', container.getId())
      await until(
        () => readHealth(service),
        (health) => health === 'unhealthy',
      )
      t.match(await lastAnswer(), 'database_unavailable')

      await docker('start', container.getId())
      await until(
        () => readHealth(service),
        (health) => health === 'healthy',
      )
      t.equal(await inspect(service, '.RestartCount'), 0)
    },
  )
})

function readHealth(service: string): Promise<string> {
  return inspect(service, '.State.Health.Status')
}

async function startService(
  t: Test,
  { network, urlInNetwork }: DatabaseContainer,
): Promise<string> {
  const service = await docker(
    ...['run', '--detach', ...hardened, `--network=${network}`, '--health-interval=500ms'],
    ...[`--env=DATABASE_URL=${urlInNetwork}`, testImage],
  )
  t.teardown(() => docker('rm', '--force', service))
  return service
}
