import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'tap'
import { startResetting, THINGS } from '../reset/running.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { projectDir } from '../support/server.ts'

test('two bundles have the same files, byte for byte, with their code caches', async (t) => {
  const folders = [join(t.testdir(), 'one'), join(t.testdirName, 'two')]
  for (const folder of folders) {
    execFileSync(process.execPath, ['scripts/bundle.mjs', folder], { cwd: projectDir })
  }
  const [one, two] = folders.map((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name, parentPath }) => join(parentPath, name))
      .map((file) => `${relative(folder, file)} ${hash(file)}`)
      .sort(),
  )

  t.match(one?.join('\n'), /^service\.cache/m)
  t.strictSame(one, two)
})

test('the bundle that the image runs migrates and resets without a project around it', async (t) => {
  const folder = t.testdir()
  execFileSync(process.execPath, ['scripts/bundle.mjs', folder], { cwd: projectDir })
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: createMigrationsFolder(t, [THINGS.first]) }
  const service = await startResetting(t, env, { entry: join(folder, 'server.js') })
  await pool.query(THINGS.dirt)

  t.match(await service.reset({ mode: 'data' }), { status: 200, body: { mode: 'data' } })
  t.match(await service.reset({ mode: 'other' }), { status: 400, body: { code: 'body_wrong' } })
  t.match(await service.reset({ mode: 'rebuild' }), { status: 200, body: { mode: 'rebuild' } })

  t.same((await pool.query('select * from things')).rows, [{ id: 1, label: 'seed' }])
  t.equal((await service.stop()).code, 0)
})

function hash(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}
