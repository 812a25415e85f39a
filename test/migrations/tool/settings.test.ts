import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { loadToolSettings } from '../../../src/migrations/tool/settings.ts'
import { createFolder } from '../../support/migrations-folder.ts'

test("the project's own .gmrc is honoured", async (t) => {
  const { placeholders } = await loadToolSettings('migrations')

  t.strictSame(placeholders, { ':E2E_SCHEMA': 'on' })
})

test('the .gmrc inside the folder counts before the one beside it, and none will do', async (t) => {
  const project = createFolder(t)
  const folder = join(project, 'migrations')
  mkdirSync(folder)
  t.strictSame(await loadToolSettings(folder), { placeholders: {}, pgSettings: {} })

  writeFileSync(join(project, '.gmrc'), `{ placeholders: { ':WHERE': 'beside' } } // JSON5`)
  t.match(await loadToolSettings(folder), { placeholders: { ':WHERE': 'beside' } })

  writeFileSync(join(folder, '.gmrc'), `{ placeholders: { ':WHERE': 'inside' } }`)
  t.match(await loadToolSettings(folder), { placeholders: { ':WHERE': 'inside' } })
})

test('placeholders, pgSettings and the owner are honoured, the rest of the tool ignored', async (t) => {
  const folder = createFolder(t)
  const content = {
    '//': 'a comment',
    connectionString: 'postgres://user:password@elsewhere/db',
    rootConnectionString: 'template1',
    migrationsFolder: './elsewhere',
    afterReset: ['seed.sql', { _: 'command', command: 'touch /tmp/never' }],
    afterCurrent: 'seed.sql',
    beforeAllMigrations: [],
    afterAllMigrations: null,
    placeholders: { ':SOME_NAME': 'value' },
    pgSettings: { search_path: 'public', statement_timeout: 5 },
    databaseOwner: 'owner',
    manageGraphileMigrateSchema: true,
  }
  writeFileSync(join(folder, '.gmrc'), JSON.stringify(content))

  t.strictSame(await loadToolSettings(folder), {
    placeholders: { ':SOME_NAME': 'value' },
    pgSettings: { search_path: 'public', statement_timeout: '5' },
    databaseOwner: 'owner',
    manageGraphileMigrateSchema: true,
  })
})

for (const [what, content] of Object.entries({
  'a command before all migrations': { beforeAllMigrations: { _: 'command', command: 'id' } },
  'SQL after all migrations': { afterAllMigrations: ['grants.sql'] },
  'a placeholder from the environment': { placeholders: { ':SECRET': '!ENV' } },
  'a placeholder that is no text': { placeholders: { ':SOME_NAME': 1 } },
  'a placeholder with another name': { placeholders: { some_name: 'value' } },
  'placeholders that are no object': { placeholders: ['a'] },
  'pgSettings that are no text': { pgSettings: { search_path: ['a', 'b'] } },
  'an unknown key': { placeholder: {} },
  'no object at all': [],
})) {
  test(`${what} is a wrong setting, named with the file`, async (t) => {
    const folder = createFolder(t)
    writeFileSync(join(folder, '.gmrc'), JSON.stringify(content))

    await t.rejects(loadToolSettings(folder), {
      code: 'wrong_settings',
      exitCode: 2,
      extensions: { problems: [{ name: new RegExp(`^${join(folder, '.gmrc')}`) }] },
    })
  })
}

test('a .gmrc that cannot be parsed is a wrong setting', async (t) => {
  const folder = createFolder(t)
  writeFileSync(join(folder, '.gmrc'), '{ placeholders: ')

  await t.rejects(loadToolSettings(folder), { code: 'wrong_settings', exitCode: 2 })
})

test('a .gmrc that is a program is not run but refused', async (t) => {
  const folder = createFolder(t)
  writeFileSync(join(folder, '.gmrc.js'), 'throw new Error("run")')

  await t.rejects(loadToolSettings(folder), { code: 'wrong_settings', exitCode: 2 })
})
