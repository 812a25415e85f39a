import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { uncommit } from '../../dev/commands/uncommit.ts'
import type { CommandRun } from '../../dev/tool.ts'
import { createMigrationsFolder, writeCommitted } from '../support/migrations-folder.ts'

test('a released migration is not uncommitted, one after it is', async (t) => {
  const migrationsDir = createMigrationsFolder(t, ['select 1;'])
  const file = join(migrationsDir, 'committed', '000001-step-1.sql')
  const before = readFileSync(file)
  const release = { '000001-step-1.sql': /^--! Hash: (\S+)$/m.exec(String(before))?.[1] }
  writeFileSync(join(migrationsDir, 'released.json'), JSON.stringify({ '1.2.3': release }))
  // Without a shadow database, the command ends as soon as it is permitted.
  const run = { config: { migrationsDir }, database: { url: '' } } as CommandRun

  await t.rejects(uncommit(run), {
    ...{ code: 'migration_released', exitCode: 5 },
    message:
      /^000001-step-1\.sql is not uncommitted: it was released with 1\.2\.3, .*frozen.*; .*the next migration$/,
  })
  t.strictSame(readFileSync(file), before)

  writeCommitted(migrationsDir, ['select 1;', 'select 2;'])
  await t.rejects(uncommit(run), { code: 'shadow_database_missing' })
})
