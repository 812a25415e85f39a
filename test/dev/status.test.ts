import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { status } from '../../dev/commands/status.ts'
import type { CommandRun } from '../../dev/tool.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'

test('db:status of a database that was never migrated says how to migrate it', async (t) => {
  const migrationsDir = createMigrationsFolder(t, ['select 1;'])
  writeFileSync(join(migrationsDir, 'current.sql'), '')
  const { url } = await createTestDatabase(t, { from: 'empty' })
  let output = ''
  t.intercept(process.stdout, 'write', {
    value: (text: string) => {
      output += text
      return true
    },
  })

  await status({ config: { migrationsDir }, database: { url } } as CommandRun)

  t.equal(
    output,
    'pending  000001-step-1.sql\nempty    current.sql\n' +
      'never migrated  npm run dev or npm run db:watch applies what is pending\n',
  )
})
