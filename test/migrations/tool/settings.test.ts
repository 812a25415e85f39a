import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { loadToolSettings } from '../../../src/migrations/tool/settings.ts'
import { createFolder } from '../../support/migrations-folder.ts'

test("the project's own .gmrc is used", async (t) => {
  const { placeholders } = await loadToolSettings('migrations')

  t.strictSame(placeholders, { ':E2E_SCHEMA': 'on' })
})

test('the .gmrc in the folder wins over the one beside it, and neither is required', async (t) => {
  const project = createFolder(t)
  const folder = join(project, 'migrations')
  mkdirSync(folder)
  t.strictSame(await loadToolSettings(folder), { placeholders: {}, pgSettings: {} })

  writeFileSync(join(project, '.gmrc'), `{ placeholders: { ':WHERE': 'beside' } } // JSON5`)
  t.match(await loadToolSettings(folder), { placeholders: { ':WHERE': 'beside' } })

  writeFileSync(join(folder, '.gmrc'), `{ placeholders: { ':WHERE': 'inside' } }`)
  t.match(await loadToolSettings(folder), { placeholders: { ':WHERE': 'inside' } })
})

test("placeholders, pgSettings and the owner are used, the tool's other settings ignored", async (t) => {
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

const WRONG: Record<string, { content: unknown; key: string; given: string }> = {
  'a command before all migrations': {
    content: { beforeAllMigrations: { _: 'command', command: 'id' } },
    key: 'beforeAllMigrations',
    given: 'actions',
  },
  'SQL after all migrations': {
    content: { afterAllMigrations: ['grants.sql'] },
    key: 'afterAllMigrations',
    given: 'actions',
  },
  'a placeholder from the environment': {
    content: { placeholders: { ':SECRET': '!ENV' } },
    key: 'placeholders, :SECRET',
    given: '"!ENV"',
  },
  'a placeholder that is not a string': {
    content: { placeholders: { ':SOME_NAME': 1 } },
    key: 'placeholders, :SOME_NAME',
    given: 'number',
  },
  'a placeholder with an unusable name': {
    content: { placeholders: { some_name: 'value' } },
    key: 'placeholders, some_name',
    given: 'this name',
  },
  'a list of placeholders': {
    content: { placeholders: ['value'] },
    key: 'placeholders',
    given: 'array',
  },
  'a list in pgSettings': {
    content: { pgSettings: { search_path: ['app', 'public'] } },
    key: 'pgSettings, search_path',
    given: 'array',
  },
  'pgSettings that are null': {
    content: { pgSettings: null },
    key: 'pgSettings',
    given: 'null',
  },
  'an unknown key': { content: { placeholder: {} }, key: 'placeholder', given: 'an unknown key' },
  'a file that is not an object': { content: [], key: 'the whole file', given: 'array' },
}
for (const [what, { content, key, given }] of Object.entries(WRONG)) {
  test(`${what} is a wrong setting, reported with file and key`, async (t) => {
    const folder = createFolder(t)
    const path = join(folder, '.gmrc')
    writeFileSync(path, JSON.stringify(content))

    await t.rejects(loadToolSettings(folder), {
      code: 'wrong_settings',
      exitCode: 2,
      extensions: { problems: [{ name: `${path}, ${key}`, given }] },
    })
  })
}

test('every wrong setting is reported', async (t) => {
  const folder = createFolder(t)
  const content = { unknown: 1, placeholders: { lower: 1 }, pgSettings: 'none' }
  writeFileSync(join(folder, '.gmrc'), JSON.stringify(content))

  await t.rejects(loadToolSettings(folder), {
    extensions: {
      problems: [{ name: /, unknown$/ }, { name: /, lower$/ }, { name: /, pgSettings$/ }],
    },
    code: 'wrong_settings',
  })
})

test('a .gmrc that cannot be parsed is a wrong setting', async (t) => {
  const folder = createFolder(t)
  const path = join(folder, '.gmrc')
  writeFileSync(path, '{ placeholders: ')

  await t.rejects(loadToolSettings(folder), {
    code: 'wrong_settings',
    exitCode: 2,
    extensions: { problems: [{ name: path, given: /^JSON5: /, expected: /JSON5/ }] },
  })
})

test('a .gmrc that is a program is rejected and not run', async (t) => {
  const folder = createFolder(t)
  const path = join(folder, '.gmrc.js')
  writeFileSync(path, 'throw new Error("run")')

  await t.rejects(loadToolSettings(folder), {
    code: 'wrong_settings',
    exitCode: 2,
    extensions: { problems: [{ name: path, given: 'a program' }] },
  })
})
