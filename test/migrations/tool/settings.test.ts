import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { loadGmrcSettings } from '../../../src/migrations/tool/settings.ts'
import { createFolder } from '../../support/migrations-folder.ts'

const load = (migrationsDir: string, placeholderVariables: Record<string, string> = {}) =>
  loadGmrcSettings({ migrationsDir, placeholderVariables })

const loadToolSettings = async (migrationsDir: string) => (await load(migrationsDir)).settings

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
    given: 'a command, which the service does not run',
  },
  'a command without a type after all migrations': {
    content: { afterAllMigrations: [{ command: 'id' }] },
    key: 'afterAllMigrations[0]',
    given: 'a command, which the service does not run',
  },
  'a command for both databases': {
    content: { afterAllMigrations: [{ _: 'command', command: 'id', shadow: false }] },
    key: 'afterAllMigrations[0]',
    given: 'a command, which the service does not run',
  },
  'SQL over the root connection': {
    content: { afterAllMigrations: '!grants.sql' },
    key: 'afterAllMigrations',
    given: 'an action for the root connection',
  },
  'an action without a file': {
    content: { afterAllMigrations: { _: 'sql' } },
    key: 'afterAllMigrations',
    given: 'an action without a file',
  },
  'an action of another kind': {
    content: { afterAllMigrations: { _: 'http', url: 'x' } },
    key: 'afterAllMigrations',
    given: 'an unknown kind of action',
  },
  'an action that is a number': {
    content: { afterAllMigrations: [1] },
    key: 'afterAllMigrations[0]',
    given: 'number',
  },
  'a shadow that is a word': {
    content: { afterAllMigrations: { _: 'sql', file: 'a.sql', shadow: 'yes' } },
    key: 'afterAllMigrations',
    given: 'a shadow that is not a boolean',
  },
  'an action whose file is missing': {
    content: { afterAllMigrations: ['grants.sql'] },
    key: 'afterAllMigrations[0]',
    given: 'grants.sql, which cannot be read (ENOENT)',
  },
  'a placeholder from a variable that is not set': {
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

test('a placeholder "!ENV" has the value of the variable of its own name', async (t) => {
  const folder = createFolder(t)
  writeFileSync(
    join(folder, '.gmrc'),
    `{ placeholders: { ':APP_ROLE': '!ENV', ':OTHER': 'literal' } }`,
  )

  const { settings } = await load(folder, { APP_ROLE: 'app', OTHER: 'variable' })
  t.strictSame(settings.placeholders, { ':APP_ROLE': 'app', ':OTHER': 'literal' })
  await t.rejects(load(folder, { OTHER: 'variable' }), {
    code: 'wrong_settings',
    message:
      /placeholders, :APP_ROLE: given "!ENV", expected the environment variable APP_ROLE, which/,
  })
})

test('SQL actions are read, in order; those for the shadow database are ignored', async (t) => {
  const folder = createFolder(t)
  writeFileSync(join(folder, 'roles.sql'), 'select 1;')
  writeFileSync(join(folder, 'grants.sql'), 'select 2;')
  const content = {
    beforeAllMigrations: 'roles.sql',
    afterAllMigrations: [
      { _: 'command', command: 'pg_dump', shadow: true },
      { _: 'sql', file: 'missing.sql', shadow: true, root: true },
      { _: 'sql', file: 'grants.sql', shadow: false },
      'roles.sql',
    ],
    afterReset: { _: 'command', command: 'worker', root: true },
  }
  writeFileSync(join(folder, '.gmrc'), JSON.stringify(content))

  t.strictSame((await load(folder)).actions, {
    before: [{ hook: 'beforeAllMigrations', file: 'roles.sql', text: 'select 1;' }],
    after: [
      { hook: 'afterAllMigrations', file: 'grants.sql', text: 'select 2;' },
      { hook: 'afterAllMigrations', file: 'roles.sql', text: 'select 1;' },
    ],
  })
})

test('an action in another encoding is a wrong setting', async (t) => {
  const folder = createFolder(t)
  writeFileSync(join(folder, 'a.sql'), Buffer.of(0x27, 0xfc, 0x27))
  writeFileSync(join(folder, '.gmrc'), `{ beforeAllMigrations: 'a.sql' }`)

  await t.rejects(load(folder), {
    code: 'wrong_settings',
    message: /beforeAllMigrations: given a\.sql, which is not UTF-8: line 1, byte 2 is 0xFC/,
  })
})

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

test('a .gmrc in another encoding is a wrong setting', async (t) => {
  const folder = createFolder(t)
  writeFileSync(
    join(folder, '.gmrc'),
    Buffer.from("{ placeholders: { ':A_B': 'M\xfcnchen' } }", 'latin1'),
  )

  await t.rejects(load(folder), { code: 'wrong_settings', message: /a file that is not UTF-8/ })
})
