import { HtmlValidate } from 'html-validate'
import { test } from 'tap'
import type { Status } from '../../src/http/schemas/status.ts'
import { createRenderer } from '../../src/page/document.ts'
import { STATES, type State, TONE_WORDS } from '../../src/status/remedies.ts'
import {
  createPageData,
  createStatus,
  DRIFTED,
  describeTable,
  LARGE,
  NOW,
  STATE_PAGES,
} from '../support/page.ts'

const validator = new HtmlValidate({
  root: true,
  extends: ['html-validate:recommended', 'html-validate:a11y'],
  rules: {
    // Each detail of style that the formatter of our sources decides.
    'long-title': 'off',
    'no-trailing-whitespace': 'off',
    'no-inline-style': 'error',
  },
})

const render = (data = createPageData()) => createRenderer()(data, NOW).document

/** Lists what is wrong with a document; empty for a valid one. */
async function findProblems(document: string): Promise<string[]> {
  const { results } = await validator.validateString(document)
  return results.flatMap(({ messages }) =>
    messages.map(({ ruleId, message, line }) => `${line}: ${ruleId}: ${message}`),
  )
}

/** The text that a reader sees, roughly. */
const textOf = (document: string) =>
  document
    .replace(/<(style|script|svg|title)\b.*?<\/\1>/gs, '')
    .replace(/<\/?(code|bdi|span)\b[^>]*>/g, '')
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('&#39;', "'")
    .replaceAll('&quot;', '"')
    .replace(/\s+/g, ' ')

for (const [state, data] of Object.entries(STATE_PAGES)) {
  test(`the page of state ${state} is valid and says what is wrong and what to do`, async (t) => {
    const document = render(data)
    const { title, tone, meaning, remedy = '' } = STATES[state as State]
    t.strictSame(await findProblems(document), [])
    const text = textOf(document)
    for (const expected of [title, TONE_WORDS[tone], data.status.detail ?? '']) {
      t.ok(text.includes(expected), expected)
    }
    t.ok(text.includes(meaning.replaceAll('`', '')), meaning)
    t.ok(text.includes(remedy.replaceAll('`', '')), remedy)
  })
}

test('the page shows what the uncommitted migration has changed, and why it fails', async (t) => {
  const changes = [{ kind: 'view', name: 'shop.<seen>', change: 'added', detail: '' }] as const
  const failure = { message: 'column "totl" does not exist', file: 'fixtures/f.sql', line: 3 }
  const renderCurrent = (current: Status['migrations']['current']) => {
    const status = createStatus('ready', null)
    return render(createPageData({ ...status, migrations: { ...status.migrations, current } }))
  }
  const failing = renderCurrent({ empty: false, changes: [...changes], failure })
  t.strictSame(await findProblems(failing), [])
  t.match(
    textOf(failing),
    'could not be applied when it was last saved: fixtures/f.sql:3 column "totl" does not exist',
  )
  t.match(textOf(failing), 'It has changed in this database: view shop.&lt;seen&gt; added')
  const left = renderCurrent({ empty: true, changes: [...changes] })
  t.strictSame(await findProblems(left), [])
  t.match(textOf(left), 'current.sql is empty. This database still has what it changed: view')
  t.notMatch(textOf(renderCurrent({ empty: true })), 'current.sql')
})

test('the page shows drift as a table', async (t) => {
  const document = render(DRIFTED)
  t.strictSame(await findProblems(document), [])
  t.match(
    textOf(document),
    /The schema has drifted.*3 differences.*shop.customer.phone column added/,
  )
})

test('unknown drift is shown with its reason', async (t) => {
  const drift = {
    checkedAt: NOW.toISOString(),
    inSync: null,
    reason: 'recorded on another version',
    differences: [],
  }
  const document = render(createPageData(createStatus('ready', null, { drift })))
  t.strictSame(await findProblems(document), [])
  t.match(textOf(document), /Drift not known.*recorded on another version.*record_schema/)
})

test('the timeline marks what is applied, running, failed and pending', (t) => {
  const marks = (state: State) =>
    [...render(STATE_PAGES[state]).matchAll(/<li class="(\w+)"><p class="name">/g)].map(
      ([, mark]) => mark,
    )
  t.strictSame(marks('migrating'), ['applied', 'applied', 'running', 'pending'])
  t.strictSame(marks('migration_failed'), ['applied', 'applied', 'failed', 'pending'])
  t.strictSame(marks('history_refused'), ['applied', 'applied', 'pending', 'pending'])
  t.end()
})

test('a thousand migrations are shown with the last ones first at hand', async (t) => {
  const status = createStatus('ready', null)
  const [one] = status.migrations.applied
  if (one === undefined) throw new Error('no migration')
  const applied = Array.from({ length: 1000 }, (_, index) => ({
    ...one,
    filename: `${String(index + 1).padStart(6, '0')}-step.sql`,
  }))
  const document = render(
    createPageData({ ...status, migrations: { ...status.migrations, applied } }),
  )
  t.strictSame(await findProblems(document), [])
  t.match(document, '<summary>992 earlier migrations</summary>')
  t.match(document, '<ol class="timeline" start="993">')
})

const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "'; drop table x; --",
  '</title></style></svg>',
  '&lt;b&gt;',
  'x'.repeat(63),
  '\u202Egnp.exe',
  'שלום\u200F',
  'a\u0007b',
  '東京都の住民'.repeat(3),
  '`code`',
]

test('names and comments of every kind leave the page valid, and none becomes markup', async (t) => {
  for (const name of HOSTILE) {
    const table = describeTable(name, name, [`*${name.replaceAll(' ', '\u00A0')} text`], [])
    const status = createStatus('migrating', name, { applied: 2 })
    const [migration] = status.migrations.pending
    if (migration === undefined || status.database === null) throw new Error('no migration')
    const document = render({
      status: {
        ...status,
        database: { ...status.database, name, host: name },
        migrations: {
          ...status.migrations,
          pending: [{ ...migration, name, message: name, filename: `000003-${name}.sql` }],
        },
        drift: {
          checkedAt: NOW.toISOString(),
          inSync: false,
          differences: [{ kind: name, name, change: 'changed', detail: name }],
        },
      },
      overview: {
        readAt: NOW.toISOString(),
        schemas: [
          {
            ...{ name, comment: name, views: [{ name, comment: name }] },
            tables: [
              {
                ...table,
                foreignKeys: [
                  {
                    columns: [name],
                    parentSchema: name,
                    parentTable: name,
                    parentColumns: [name],
                    isUnique: false,
                  },
                  {
                    columns: [name],
                    parentSchema: 'x',
                    parentTable: name,
                    parentColumns: [name],
                    isUnique: false,
                  },
                ],
              },
            ],
            routines: [{ name, kind: 'function', arguments: name, result: name, comment: name }],
          },
        ],
      },
      blockers: [{ pid: null, gid: name, application: name, state: name, ageMs: 1 }],
    })
    t.strictSame(await findProblems(document), [], name)
    t.equal(document.split('<script').length, 2, 'one script, which is ours')
    t.notMatch(document, /<img|onerror="/)
    t.notMatch(document, /\u202E|\u200F/)
  }
})

test('many tables are listed in words, and not drawn', async (t) => {
  const tables = Array.from({ length: 300 }, (_, index) =>
    describeTable(
      `table_${index}`,
      null,
      ['*id bigint', 'of bigint'],
      [{ of: 'of', to: 'many.table_0' }],
    ),
  )
  const document = render(
    createPageData(createStatus('ready', null), {
      schemas: [{ name: 'many', comment: null, tables, views: [], routines: [] }],
    }),
  )
  t.notMatch(document, 'class="diagram"')
  t.match(textOf(document), /300 tables in words.*table_299 2 columns table_0 of → id/)
})

test('above a thousand tables the page shows counts and the largest', async (t) => {
  const document = render(LARGE)
  t.strictSame(await findProblems(document), [])
  const text = textOf(document)
  t.match(text, /61 schemas · 12,345 tables · 7 views · no routines/)
  t.match(text, /tenant_1\.event 24 partitions 1,234,567 1.5 GiB/)
  t.match(text, /tenant_2\.person not known yet not known yet/)
  t.match(text, /tenant_1 11,111 7 0/)
  t.match(text, /And 59 smaller schemas/)
  t.notMatch(document, 'class="diagram"')
})

test('a page that reads the same has the same tag, and any change gives it another', (t) => {
  const later = new Date(NOW.getTime() + 1000)
  const [ready, migrating] = [STATE_PAGES.ready, STATE_PAGES.migrating]
  const { etag } = createRenderer()(ready, NOW)
  t.equal(createRenderer()(ready, later).etag, etag)
  t.not(createRenderer()(migrating, NOW).etag, etag)
  const inAnHour = new Date(NOW.getTime() + 3_600_000)
  t.not(createRenderer()(ready, inAnHour).etag, etag, 'an hour later it reads otherwise')
  t.end()
})
