import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createFolder } from '../support/migrations-folder.ts'
import { projectDir } from '../support/server.ts'
import { docker, needsEngine, tryDocker } from './docker.ts'
import { openStack } from './stack.ts'

const token = 'a-token-for-this-test-only'

t.test(
  'the stack for end-to-end tests can be reset, by who has the token',
  needsEngine,
  async (t) => {
    const stack = openStack(t, {
      directory: projectDir,
      file: 'docker-compose.e2e.yml',
      env: { RESET_TOKEN: token },
    })
    await stack.compose('up', '--wait')
    const reset = async (headers: Record<string, string>) =>
      (await fetch(`${await stack.address()}/reset`, { method: 'POST', headers })).status
    const countBatches = () => stack.query('select count(*) from commandbus.batch')
    await stack.query(
      `insert into commandbus.batch (domain, batch_id) values ('gone', gen_random_uuid())`,
    )

    t.equal(await reset({}), 401)
    t.equal(await countBatches(), '1')

    t.equal(await reset({ authorization: `Bearer ${token}` }), 200)
    t.equal(await countBatches(), '0')

    const service = await stack.compose('ps', '--quiet', 'commandbus-db')
    t.notMatch(await docker('top', service, '-o', 'pid,args'), token)
    t.notMatch(await stack.compose('logs'), token)
  },
)

t.test('it does not start without a token', needsEngine, async (t) => {
  const stack = openStack(t, { directory: projectDir, file: 'docker-compose.e2e.yml' })

  const { exitCode, output } = await stack.run('config', '--quiet')

  t.not(exitCode, 0)
  t.match(output, 'RESET_TOKEN')
})

t.test('each checkout has a project and a volume of its own', needsEngine, async (t) => {
  // Only asked: a stack that a developer may be using is not touched.
  const args = ['compose', '--file', 'docker-compose.e2e.yml', 'config', '--format', 'json']
  const projects = ['one', 'other'].map(async (parent) => {
    const cwd = join(createFolder(t), parent, 'commandbus-db')
    mkdirSync(cwd, { recursive: true })
    for (const file of ['docker-compose.yml', 'docker-compose.e2e.yml']) {
      copyFileSync(join(projectDir, file), join(cwd, file))
    }
    const env = { RESET_TOKEN: token, COMPOSE_PROJECT_NAME: '', PWD: cwd }
    const { name, volumes } = JSON.parse((await tryDocker(args, { cwd, env })).output)
    t.match(name, /^commandbus-e2e-.*commandbus-db$/)
    t.equal(volumes['postgres-data'].name, `${name}_postgres-data`)
    return name
  })
  const [one, other] = await Promise.all(projects)
  t.not(one, other)
})
