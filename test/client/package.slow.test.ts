import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createTestDatabase } from '../support/postgres.ts'

const projectDir = process.cwd()

t.test('the packed package works where it is installed', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-package-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  install(folder)

  t.test('with types, running what the documentation shows', async (t) => {
    const document = readFileSync(join(projectDir, 'docs', 'use', 'typescript-client.md'), 'utf8')
    const [example] = /(?<=```ts\n).*?(?=```)/s.exec(document) ?? []
    writeFileSync(join(folder, 'example.ts'), example ?? '')
    const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
    const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node']
    execFileSync(process.execPath, [tsc, ...options, 'example.ts'], { cwd: folder, stdio: 'pipe' })

    const output = execFileSync(process.execPath, ['example.js'], {
      cwd: folder,
      env: { PATH: process.env.PATH, DATABASE_URL: url },
    })

    t.match(output.toString(), /^batch .* is complete$/m)
    const { rows } = await pool.query('select name, status, completed_count from commandbus.batch')
    t.same(rows, [{ name: 'refunds', status: 'COMPLETED', completed_count: 2 }])
  })

  t.test('without pg', async (t) => {
    rmSync(join(folder, 'node_modules', 'pg'))
    const script = `import { isRetryable } from 'commandbus-db/client'
                    process.stdout.write(String(isRetryable({ code: '40001' })))`

    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: folder,
    })

    t.equal(output.toString(), 'true')
  })
})

/** Packs what is built and unpacks it as npm would; pg and the types come from this project. */
function install(folder: string): void {
  const modules = join(folder, 'node_modules')
  const target = join(modules, 'commandbus-db')
  mkdirSync(target, { recursive: true })
  mkdirSync(join(modules, '@types'))
  for (const name of ['pg', '@types/pg', '@types/node']) {
    symlinkSync(join(projectDir, 'node_modules', name), join(modules, name))
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const packed = execFileSync(
    'npm',
    ['pack', '--ignore-scripts', '--json', '--loglevel=error', '--pack-destination', folder],
    { cwd: projectDir },
  )
  const [{ filename }] = JSON.parse(packed.toString()) as [{ filename: string }]
  execFileSync('tar', ['-xzf', join(folder, filename), '-C', target, '--strip-components=1'])
}
