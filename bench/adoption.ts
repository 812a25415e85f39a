// npm run bench:adoption -- [--commands=1000000] [--write]
// DATABASE_URL names a server to measure instead of an embedded one (a database is made there).
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { createLegacySchema } from '../test/support/legacy.ts'
import { loadMigrations } from '../test/support/migrations.ts'
import { createOrigin, origins } from '../test/support/origins.ts'
import { replaceSection, toTable } from './report.ts'
import { openBenchServer } from './server.ts'

interface Step {
  readonly name: string
  readonly durationMs: number
  readonly walKb: number
}

const { values } = parseArgs({
  options: {
    commands: { type: 'string', default: '1000000' },
    write: { type: 'boolean', default: false },
  },
})
const commands = Number(values.commands)

/** The databases to adopt: the oldest, in public, and the newest that the client's project ships. */
const subjects = [
  {
    section: 'bench:adoption',
    title: 'Tables in `public`, from the init script before this project',
    prefix: 'public.command_bus_',
    create: () => createLegacySchema(client),
    more: '',
  },
  {
    section: 'bench:adoption-flyway',
    title: 'A schema `commandbus` of client 0.2.2, whose functions count nothing',
    prefix: 'commandbus.',
    create: () => createOrigin(client, origins['Flyway, client 0.2.2'] ?? []),
    more: readFileSync(new URL('adoption-newer-rows.sql', import.meta.url), 'utf8'),
  },
]

const server = await openBenchServer(process.env.DATABASE_URL)
let client: pg.Client
try {
  for (const { section, title, prefix, create, more } of subjects) {
    client = new pg.Client({
      connectionString: await server.createEmpty(section.replace(/\W/g, '_')),
    })
    await client.connect()
    try {
      await create()
      const rows = readFileSync(new URL('adoption-rows.sql', import.meta.url), 'utf8')
      await client.query(
        (rows + more)
          .replaceAll('1000000', String(commands))
          .replaceAll('public.command_bus_', prefix),
      )
      await client.query('vacuum analyze')
      await client.query('checkpoint')

      const before = await count(prefix)
      const steps = await adopt()
      const after = await count('commandbus.')

      const report = describe(title, steps, before, after)
      console.log(`${report}\n`)
      if (values.write) {
        replaceSection(new URL('../docs/internals/benchmarks.md', import.meta.url), section, report)
      }
    } finally {
      await client.end()
    }
  }
} finally {
  await server.close()
}

/** Runs migration 1 as the tool does, in one transaction, but each of its adoption's files apart. */
async function adopt(): Promise<Step[]> {
  const [migration = ''] = loadMigrations()
  // Odd pieces are the names of the included files, as the expression captures them.
  const pieces = migration.split(/^--! (?:End)?Included commandbus\/adoption\/(\w+)\.sql$/m)
  const steps: Step[] = []
  let others = { durationMs: 0, walKb: 0 }
  await client.query('begin')
  for (let i = 0; i < pieces.length; i += 2) {
    const step = await run(pieces[i] ?? '')
    const name = pieces[i - 1]
    if (i % 4 === 2) steps.push({ name: `adoption/${name}.sql`, ...step })
    else
      others = { durationMs: others.durationMs + step.durationMs, walKb: others.walKb + step.walKb }
  }
  steps.push({ name: 'the rest of the migration', ...others })
  const commit = await run('commit')
  steps.push({ name: 'commit', ...commit })
  return steps
}

async function run(sql: string): Promise<Omit<Step, 'name'>> {
  const startLsn = await loadLsn()
  const startedAtMs = performance.now()
  await client.query(sql)
  const durationMs = performance.now() - startedAtMs
  const { rows } = await client.query('select pg_wal_lsn_diff($1, $2) / 1024 as kb', [
    await loadLsn(),
    startLsn,
  ])
  return { durationMs, walKb: Number(rows[0].kb) }
}

async function loadLsn(): Promise<string> {
  const { rows } = await client.query('select pg_current_wal_insert_lsn()::text as lsn')
  return rows[0].lsn
}

/** What must be the same afterwards, and the files that the rows are in. */
async function count(prefix: string): Promise<readonly (readonly [string, string])[]> {
  const { rows } = await client.query({
    text: `
      select status, count(*) from ${prefix}command group by 1
       union all
      select 'batches ' || lower(status), count(*) from ${prefix}batch group by 1
       union all
      select 'sum of completed_count', sum(completed_count) from ${prefix}batch
       union all
      select 'sum of in_troubleshooting_count', sum(in_troubleshooting_count) from ${prefix}batch
       union all
      select 'audit events', count(*) from ${prefix}audit
       union all
      select 'next audit_id', last_value + 1
        from pg_sequences where sequencename like '%audit_audit_id_seq'
       union all
      select 'file of the commands', pg_relation_filenode('${prefix}command')
       union all
      select 'file of the audit events', pg_relation_filenode('${prefix}audit')`,
    rowMode: 'array',
  })
  return rows.map(([name, value]) => [String(name), String(value)])
}

function describe(
  title: string,
  steps: readonly Step[],
  before: readonly (readonly [string, string])[],
  after: readonly (readonly [string, string])[],
): string {
  const totalMs = steps.reduce((sum, step) => sum + step.durationMs, 0)
  const totalKb = steps.reduce((sum, step) => sum + step.walKb, 0)
  const afterwards = new Map(after)
  return [
    `${title}. PostgreSQL ${server.version}, ${cpus().length} cores (${cpus()[0]?.model}), ` +
      `${commands.toLocaleString('en')} commands, four fifths of them in batches, a twentieth of those running.`,
    '',
    toTable(
      ['step', 'ms', 'WAL, kB'],
      [
        ...steps.map(({ name, durationMs, walKb }) => [
          name,
          durationMs.toFixed(1),
          walKb.toFixed(0),
        ]),
        ['**all of migration 1**', `**${totalMs.toFixed(0)}**`, `**${totalKb.toFixed(0)}**`],
      ],
    ),
    '',
    toTable(
      ['', 'before', 'after'],
      before.map(([name, value]) => [name, value, afterwards.get(name) ?? 'missing']),
    ),
  ].join('\n')
}
