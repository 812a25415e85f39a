import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { REPORT_CACHES } from '../support/code-cache.ts'
import { projectDir } from '../support/server.ts'
import { buildTestImage, docker, inspect, needsEngine, testImage, tryDocker } from './docker.ts'
import { copyProject } from './project.ts'

const base = 'node:26-bookworm-slim'

if (!needsEngine.skip) await buildTestImage(t)

t.test(
  'the image runs node itself, as a user who is a number and not root',
  needsEngine,
  async (t) => {
    t.equal(await inspect(testImage, '.Config.User'), '65532:65532')
    const [program, ...args] = await inspect<string[]>(testImage, '.Config.Entrypoint')
    t.same([program, args.at(-1)], ['node', 'server.js'])
    const healthcheck = await inspect<string[]>(testImage, '.Config.Healthcheck.Test')
    t.same(healthcheck, ['CMD', 'node', 'healthcheck.js'])
  },
)

t.test('its labels name this version', needsEngine, async (t) => {
  const { version, license } = JSON.parse(readFileSync(join(projectDir, 'package.json'), 'utf8'))
  const labels = await inspect<Record<string, string>>(testImage, '.Config.Labels')

  t.equal(labels['org.opencontainers.image.version'], version)
  t.equal(labels['org.opencontainers.image.licenses'], license)
})

t.test('it holds nothing that production does not need', needsEngine, async (t) => {
  const tools = ['npm', 'npx', 'yarn', 'corepack', 'cc', 'make', 'tsc', 'esbuild']
  const servers = ['postgres', 'initdb', 'node_modules']

  const found = await docker(
    ...['run', '--rm', '--user=0', '--entrypoint=node', testImage, '--eval'],
    `const { readdirSync } = require('node:fs')
     const unwanted = new Set(${JSON.stringify([...tools, ...servers])})
     const walk = (folder) => {
       for (const entry of readdirSync(folder + '/', { withFileTypes: true })) {
         const path = folder + '/' + entry.name
         if (unwanted.has(entry.name)) console.log(path)
         if (entry.isDirectory() && !/^.(proc|sys)$/.test(path)) walk(path)
       }
     }
     walk('')`,
  )

  t.equal(found, '')
})

/** Starts the image's program, without settings so that it ends at once, with further flags of Node.js. */
async function startWith(...flags: string[]) {
  const [program, ...args] = await inspect<string[]>(testImage, '.Config.Entrypoint')
  return tryDocker([
    ...['run', '--rm', '--env=PORT=wrong'],
    // As in docker-compose.yml: Node.js chooses limits of V8 from it.
    '--memory=256m',
    ...[`--entrypoint=${program}`, testImage, ...flags, ...args],
  ])
}

t.test('it is started with its code cache', needsEngine, async (t) => {
  t.match(await startWith('--import', REPORT_CACHES), {
    exitCode: 2,
    output: 'cache of service.js rejected: false',
  })
})

t.test('it collects no garbage while it loads', needsEngine, async (t) => {
  const { exitCode, output } = await startWith('--trace-gc')

  t.equal(exitCode, 2)
  t.notMatch(output, /\b(?:Scavenge|Mark-Compact)\b/)
})

t.test('its own part is at most 15 MB over its base', needsEngine, async (t) => {
  const own = (await inspect<number>(testImage, '.Size')) - (await inspect<number>(base, '.Size'))

  t.comment(`${own} bytes`)
  t.ok(own > 0 && own <= 15_000_000, `${own} bytes`)
})

t.test(
  'two builds of one commit have the same files with the same times',
  needsEngine,
  async (t) => {
    const again = `${testImage}-again`
    t.teardown(() => docker('rmi', again))
    await docker('build', '--quiet', '--no-cache', '--tag', again, '.')

    const baseLayers = (await inspect<string[]>(base, '.RootFS.Layers')).length
    const own = async (image: string) =>
      (await inspect<string[]>(image, '.RootFS.Layers')).slice(baseLayers)
    // The first one marks what of the base is taken away, and such a mark bears the time of the build.
    t.same((await own(again)).slice(1), (await own(testImage)).slice(1))
  },
)

t.test(
  'migrations that `graphile-migrate commit` made private can be read in it',
  needsEngine,
  async (t) => {
    const image = `${testImage}-private`
    const directory = copyProject(t)
    chmodSync(join(directory, 'migrations/committed/000001-commandbus.sql'), 0o400)
    await docker('build', '--quiet', '--tag', image, directory)
    t.teardown(() => docker('rmi', image))

    const first = await docker(
      ...['run', '--rm', '--entrypoint=node', image, '--eval'],
      `console.log(require('node:fs').readFileSync('migrations/committed/000001-commandbus.sql', 'utf8'))`,
    )

    t.match(first, /^--! Previous: -/)
  },
)
