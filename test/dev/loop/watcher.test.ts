import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { watchMigrations } from '../../../dev/loop/watcher.ts'
import { createFolder } from '../../support/migrations-folder.ts'
import { until } from '../project.ts'

/** Watches `seen`, and saves, adds, replaces and removes files by way of `written`. */
async function check(t: Test, seen: string, written: string, options = {}) {
  mkdirSync(join(written, 'fixtures'), { recursive: true })
  writeFileSync(join(written, 'current.sql'), '')
  const found = new Set<string>()
  const watcher = await watchMigrations(seen, (file) => found.add(file), options)
  try {
    const step = async (file: string, change: (path: string) => void) => {
      found.clear()
      const startedAt = performance.now()
      change(join(written, file))
      await until(`${file} is found`, () => found.has(file))
      t.comment(`${file} after ${Math.round(performance.now() - startedAt)} ms`)
    }
    await step('current.sql', (path) => writeFileSync(path, 'select 1;\n'))
    await step('fixtures/f.sql', (path) => writeFileSync(path, 'select 2;\n'))
    await step('fixtures/f.sql', (path) => {
      writeFileSync(`${path}.new`, 'select 3;\n')
      renameSync(`${path}.new`, path)
    })
    await step('fixtures/f.sql', (path) => rmSync(path))
    rmSync(join(written, 'fixtures'), { recursive: true })
    await step('fixtures/a/g.sql', (path) => {
      mkdirSync(join(written, 'fixtures', 'a'), { recursive: true })
      writeFileSync(path, 'select 4;\n')
    })
  } finally {
    await watcher.close()
  }
}

test('a save is found by the events of the file system', async (t) => {
  const folder = createFolder(t)
  await check(t, folder, folder)
})

test('a save is found by polling', async (t) => {
  const folder = createFolder(t)
  await check(t, folder, folder, { usesEvents: false })
})

test('a save is found in a mount whose events do not arrive', async (t) => {
  const folder = createFolder(t)
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => {
    mkdirSync(join(folder, name))
    return join(folder, name)
  }) as [string, string, string, string]
  mkdirSync(join(lower, 'fixtures'))
  try {
    const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}`
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, merged], { stdio: 'pipe' })
  } catch (error) {
    const reason = (error as Error).message.trim().split('\n').at(-1)
    t.pass('overlay', { skip: `NOT TESTED: no overlay can be mounted here: ${reason}` })
    return
  }
  t.teardown(() => execFileSync('umount', [merged]))
  // Of what is renamed below, an overlay does not know.
  writeFileSync(join(lower, 'current.sql'), '')
  const found = new Set<string>()
  const watcher = await watchMigrations(merged, (file) => found.add(file))
  writeFileSync(join(lower, 'current.sql'), 'select 1;\n')
  await until('current.sql is found', () => found.has('current.sql'))
  await watcher.close()
})
