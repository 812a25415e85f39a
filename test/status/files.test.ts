import { appendFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createFolderReader } from '../../src/status/files.ts'
import { becomes } from '../support/becomes.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'

test('what changes in the folder is seen, and what is gone', async (t) => {
  const folder = createMigrationsFolder(t, ['select 1;', 'select 2;'])
  const read = createFolderReader(folder)
  const names = async () => (await read()).files.map(({ filename }) => filename)
  const isEmpty = async () => (await read()).currentEmpty
  t.strictSame(await names(), ['000001-step-1.sql', '000002-step-2.sql'])

  rmSync(join(folder, 'committed', '000002-step-2.sql'))
  writeFileSync(join(folder, 'committed', 'notes.txt'), '')
  await becomes(t, names, ['000001-step-1.sql'])
  writeFileSync(join(folder, 'current.sql'), '-- nothing')
  await becomes(t, isEmpty, true)
  writeFileSync(join(folder, 'current.sql'), 'select 1;')
  await becomes(t, isEmpty, false)
})

test('a large file is read up to its headers only', async (t) => {
  const folder = createMigrationsFolder(t, ['select 1;'])
  const path = join(folder, 'committed', '000001-step-1.sql')
  const read = createFolderReader(folder)
  const before = (await read()).files[0]?.hash
  appendFileSync(path, `-- ${'x'.repeat(12_000_000)}`)

  // Its content no longer has that hash: nothing calculates it.
  t.equal((await createFolderReader(folder)()).files[0]?.hash, before)
})
