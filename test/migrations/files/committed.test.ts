import fs, {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { dirname, join } from 'node:path'
import { type Test, test } from 'tap'
import { readCommittedMigrations } from '../../../src/migrations/files/committed.ts'
import {
  createFolder,
  createMigrationsFolder,
  writeCommitted,
} from '../../support/migrations-folder.ts'

const BODIES = [
  'create schema shop;',
  'create table shop.customers ();',
  'create table shop.orders ();',
]
const FIRST = '000001-step-1.sql'
const SECOND = '000002-step-2.sql'
const THIRD = '000003-step-3.sql'

interface Problem {
  readonly filename: string
  readonly problem: string
}

function edit(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')))
}

function editBytes(file: string, from: string, to: string): void {
  const bytes = readFileSync(file, 'latin1')
  writeFileSync(file, bytes.replace(from, to), 'latin1')
}

/** Creates three valid files, spoils them, and returns the problems that are reported. */
async function readProblems(
  t: Test,
  spoil: (committed: string) => void,
): Promise<readonly Problem[]> {
  const folder = createMigrationsFolder(t, BODIES)
  spoil(join(folder, 'committed'))
  try {
    await readCommittedMigrations(folder)
    return []
  } catch (error) {
    t.match(error, { code: 'history_refused', exitCode: 5 })
    return (error as { extensions: { problems: readonly Problem[] } }).extensions.problems
  }
}

test('committed files are read in order, with their headers', async (t) => {
  const folder = createMigrationsFolder(t, BODIES)

  const migrations = await readCommittedMigrations(folder)

  t.match(migrations, [
    { number: 1, filename: FIRST, recordedAs: '000001.sql', slug: 'step-1', previousHash: null },
    { number: 2, message: 'step', body: 'create table shop.customers ();\n', bodyLine: 5 },
    { number: 3, previousHash: migrations[1]?.hash, noTransaction: false },
  ])
})

test('1,000 files are read in the order of their numbers', async (t) => {
  const bodies = Array.from({ length: 1000 }, (_, index) => `select ${index};`)
  const folder = createMigrationsFolder(t, bodies)

  const migrations = await readCommittedMigrations(folder)

  t.strictSame(
    migrations.map(({ body }) => body?.trim()),
    bodies,
  )
})

test('a missing folder is a wrong setting, an empty folder is an error of its own', async (t) => {
  const folder = createFolder(t)
  await t.rejects(() => readCommittedMigrations(folder), {
    code: 'no_migrations_folder',
    exitCode: 2,
  })

  mkdirSync(join(folder, 'committed'))
  await t.rejects(() => readCommittedMigrations(folder), { code: 'no_migrations', exitCode: 5 })
})

const SPOILED: Record<
  string,
  { spoil: (committed: string) => void; problems: [string, RegExp][] }
> = {
  'a changed byte in a body': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace('customers', 'clients')),
    problems: [[SECOND, /^was changed: its header says sha1:\w+, its content has sha1:\w+$/]],
  },
  'a changed Hash': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace(/Hash: sha1:./, '$&0')),
    problems: [[SECOND, /^was changed: /]],
  },
  'a changed Previous': {
    spoil: (dir) => edit(join(dir, THIRD), (text) => text.replace(/Previous: .*/, 'Previous: -')),
    problems: [[THIRD, /^was changed: /]],
  },
  'a missing Hash': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace(/--! Hash.*\n/, '')),
    problems: [[SECOND, /^has no header "--! Hash: …"$/]],
  },
  'a missing Previous': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace(/--! Previous.*\n/, '')),
    problems: [[SECOND, /^has no header "--! Previous: …"$/]],
  },
  'a header given twice': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace(/--! Hash.*\n/, '$&$&')),
    problems: [[SECOND, /^has the header Hash twice$/]],
  },
  'a missing empty line after the headers': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace('\n\n', '\n')),
    problems: [[SECOND, /^has no empty line after its headers, before line 4: "create table/]],
  },
  'CRLF line endings throughout': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replaceAll('\n', '\r\n')),
    problems: [[SECOND, /^has CRLF line endings/]],
  },
  'a CRLF line ending within a body': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace('table ', 'table\r\n')),
    problems: [[SECOND, /^has CRLF line endings/]],
  },
  'a CRLF line ending on the last line only': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace(/\n$/, '\r\n')),
    problems: [[SECOND, /^has CRLF line endings/]],
  },
  'AllowInvalidHash on a valid hash': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => `--! AllowInvalidHash\n${text}`),
    problems: [[SECOND, /^has AllowInvalidHash, but its hash is valid$/]],
  },
  'a file that is not a migration': {
    spoil: (dir) => writeFileSync(join(dir, 'README.md'), ''),
    problems: [['README.md', /^is not named like a committed migration/]],
  },
  "an editor's backup": {
    spoil: (dir) => writeFileSync(join(dir, `${SECOND}~`), ''),
    problems: [[`${SECOND}~`, /^is not named like a committed migration/]],
  },
  'a folder named like a migration': {
    spoil: (dir) => mkdirSync(join(dir, '000004-step.sql')),
    problems: [['000004-step.sql', /^is not a file$/]],
  },
  'a broken symbolic link': {
    spoil: (dir) => symlinkSync('/nowhere', join(dir, '000004-step.sql')),
    problems: [['000004-step.sql', /^is a link to a file that does not exist$/]],
  },
  'a link to a folder': {
    spoil: (dir) => symlinkSync('/', join(dir, '000004-step.sql')),
    problems: [['000004-step.sql', /^is not a file$/]],
  },
  'a byte that is not UTF-8': {
    spoil: (dir) => editBytes(join(dir, SECOND), 'customers', 'k\xfcnden'),
    problems: [[SECOND, /^is not UTF-8: line 5, byte 20 is 0xFC; save it as UTF-8$/]],
  },
  'a NUL byte': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace('customers', 'cust\0mers')),
    problems: [[SECOND, /^has a NUL byte, which PostgreSQL does not accept: line 5, byte 23; /]],
  },
  'a byte order mark before the headers': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => `\ufeff${text}`),
    problems: [[SECOND, /^begins with a byte order mark \(EF BB BF\)/]],
  },
  'UTF-16': {
    spoil: (dir) => {
      const text = readFileSync(join(dir, SECOND), 'utf8')
      writeFileSync(join(dir, SECOND), Buffer.from(`\ufeff${text}`, 'utf16le'))
    },
    problems: [[SECOND, /^is UTF-16; save it as UTF-8$/]],
  },
  'lines that end with CR alone': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replaceAll('\n', '\r')),
    problems: [[SECOND, /^has lines that end with CR alone/]],
  },
  'a header in capitals': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace('--! Hash', '--! HASH')),
    problems: [[SECOND, /ignores, line 2: "--! HASH: .*; write "--! Hash: …"/]],
  },
  'a header after a tab': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace('--! Hash', '--!\tHash')),
    problems: [[SECOND, /ignores, line 2: "--!\\tHash: .*; write "--! Hash: …"/]],
  },
  'an empty line among the headers': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => text.replace('--! Hash', '\n--! Hash')),
    problems: [[SECOND, /ignores, line 3: "--! Hash: .*; write "--! Hash: …"/]],
  },
  'an empty line before the headers': {
    spoil: (dir) => edit(join(dir, SECOND), (text) => `\n${text}`),
    problems: [[SECOND, /ignores, line 2: "--! Previous: .*; write "--! Previous: …"/]],
  },
  'no-transaction among the headers': {
    spoil: (dir) =>
      edit(join(dir, SECOND), (text) => text.replace('\n\n', '\n--! no-transaction\n\n')),
    problems: [
      [SECOND, /^has no empty line after its headers, before line 4: "--! no-transaction"$/],
    ],
  },
  'a picture': {
    spoil: (dir) => writeFileSync(join(dir, 'schema.png'), Buffer.of(0x89, 0x50, 0)),
    problems: [['schema.png', /^is not named like a committed migration/]],
  },
  'a gap in the numbers': {
    spoil: (dir) => rmSync(join(dir, SECOND)),
    problems: [[THIRD, /^follows a gap: number 2 is missing$/]],
  },
  'a gap at the beginning': {
    spoil: (dir) => rmSync(join(dir, FIRST)),
    problems: [[SECOND, /^follows a gap: number 1 is missing$/]],
  },
  'the same number twice': {
    spoil: (dir) => renameSync(join(dir, THIRD), join(dir, '000002-zzz.sql')),
    problems: [['000002-zzz.sql', /^has the same number as 000002-step-2\.sql$/]],
  },
  'a number with more digits than the one before': {
    spoil: (dir) => renameSync(join(dir, THIRD), join(dir, '0000003-step-3.sql')),
    problems: [['0000003-step-3.sql', /^has a different number of digits than 000002-step-2/]],
  },
  'a number with fewer digits than the one before': {
    spoil: (dir) => renameSync(join(dir, THIRD), join(dir, '3-step.sql')),
    problems: [['3-step.sql', /^has a different number of digits than 000002-step-2/]],
  },
  'a file from another chain': {
    spoil: (dir) => {
      const [, second = '', third = ''] = BODIES
      writeCommitted(dirname(dir), ['create schema other;', second, third])
      const foreign = readFileSync(join(dir, THIRD))
      writeCommitted(dirname(dir), BODIES)
      writeFileSync(join(dir, THIRD), foreign)
    },
    problems: [[THIRD, /^does not follow 000002-step-2\.sql: its header Previous says sha1:/]],
  },
  'two wrong files at once': {
    spoil: (dir) => {
      edit(join(dir, SECOND), (text) => text.replace('customers', 'clients'))
      edit(join(dir, THIRD), (text) => text.replace('orders', 'purchases'))
    },
    problems: [
      [SECOND, /^was changed: /],
      [THIRD, /^was changed: /],
    ],
  },
}

for (const [what, { spoil, problems }] of Object.entries(SPOILED)) {
  test(`${what} is reported with the file's name`, async (t) => {
    const reported = await readProblems(t, spoil)

    t.strictSame(
      reported.map(({ filename }) => filename),
      problems.map(([filename]) => filename),
    )
    problems.forEach(([, problem], index) => {
      t.match(reported[index]?.problem, problem)
    })
  })
}

test('a changed file is reported with both hashes', async (t) => {
  const folder = createMigrationsFolder(t, BODIES)
  const [first] = await readCommittedMigrations(folder)
  edit(join(folder, 'committed', FIRST), (text) => text.replace('shop', 'store'))

  await t.rejects(() => readCommittedMigrations(folder), {
    message: new RegExp(`header says ${first?.hash}, its content has sha1:[0-9a-f]{40}`),
  })
})

test('of many problems the message lists 20, the extensions all', async (t) => {
  const folder = createMigrationsFolder(t, BODIES)
  for (let number = 10; number < 33; number++) {
    writeFileSync(join(folder, 'committed', `note-${number}`), '')
  }

  const read = () => readCommittedMigrations(folder)
  await t.rejects(read, {
    code: 'history_refused',
    message: /note-10 .*note-29 is not named [^:]*; and 3 more$/,
    extensions: { problems: Array.from({ length: 23 }, () => ({ filename: /^note-/ })) },
  })
})

test('harmless deviations are accepted', async (t) => {
  await t.test('an invalid hash with AllowInvalidHash', async (t) => {
    const folder = createMigrationsFolder(t, BODIES)
    edit(join(folder, 'committed', SECOND), (text) =>
      text
        .replace('--! Message', '--! AllowInvalidHash\n--! Message')
        .replace('customers', 'clients'),
    )
    t.equal((await readCommittedMigrations(folder))[1]?.body, 'create table shop.clients ();\n')
  })

  await t.test('a file without slug and message', async (t) => {
    const folder = createMigrationsFolder(t, BODIES)
    const renamed = join(folder, 'committed', '000002.sql')
    renameSync(join(folder, 'committed', SECOND), renamed)
    edit(renamed, (text) => text.replace('--! Message: step\n', ''))
    t.match((await readCommittedMigrations(folder))[1], { slug: null, message: null })
  })

  await t.test('dot files, and symbolic links as Kubernetes mounts them', async (t) => {
    const folder = createMigrationsFolder(t, [])
    const elsewhere = createMigrationsFolder(t, BODIES)
    symlinkSync(join(elsewhere, 'committed'), join(folder, 'committed', '..data'))
    writeFileSync(join(folder, 'committed', '.gitkeep'), '')
    for (const name of writeCommitted(elsewhere, BODIES)) {
      symlinkSync(join('..data', name), join(folder, 'committed', name))
    }
    t.equal((await readCommittedMigrations(folder)).length, 3)
  })

  await t.test('blanks after a header', async (t) => {
    const folder = createMigrationsFolder(t, BODIES)
    edit(join(folder, 'committed', SECOND), (text) =>
      text.replace('Message: step', 'Message: step \t'),
    )
    const [, second] = await readCommittedMigrations(folder)
    t.equal(second?.message, 'step')
    t.equal(second?.findIgnored(), undefined)
  })

  await t.test('CRLF that was there when the file was committed', async (t) => {
    const folder = createMigrationsFolder(t, ["select 'two\r\nlines';"])
    t.equal((await readCommittedMigrations(folder)).length, 1)
  })
})

test('files that vanish while they are read are read again, as when a ConfigMap changes', async (t) => {
  const folder = createMigrationsFolder(t, BODIES)
  const committed = join(folder, 'committed')
  const { readdirSync } = fs
  t.teardown(() => replaceReaddir(readdirSync))
  let listings = 0
  const vanishUntil = (last: number) => {
    listings = 0
    const list = (path: string) => [
      ...readdirSync(path),
      ...(++listings < last ? [THIRD.replace('3', '4')] : []),
    ]
    replaceReaddir(list as typeof readdirSync)
  }

  vanishUntil(2)
  t.equal((await readCommittedMigrations(folder)).length, 3)
  t.equal(listings, 2)

  vanishUntil(Number.POSITIVE_INFINITY)
  await t.rejects(() => readCommittedMigrations(folder), {
    code: 'history_refused',
    message: /cannot be read \(ENOENT\)/,
  })
  t.equal(listings, 3, `it gives up on ${committed}`)
})

/** Replaces the function for modules that have imported it by name, too. */
function replaceReaddir(readdir: typeof fs.readdirSync): void {
  fs.readdirSync = readdir
  syncBuiltinESMExports()
}

test('a migration outside a transaction is recognized', async (t) => {
  const folder = createMigrationsFolder(t, ['--! no-transaction\nselect 1;'])

  t.match(await readCommittedMigrations(folder), [{ noTransaction: true, bodyLine: 5 }])
})

test('empty lines before the body count for the line on which it begins', async (t) => {
  const folder = createMigrationsFolder(t, ['select 1;'])
  edit(join(folder, 'committed', FIRST), (text) => text.replace('\n\n', '\n\n\n\n'))

  t.match(await readCommittedMigrations(folder), [{ body: 'select 1;\n', bodyLine: 7 }])
})
