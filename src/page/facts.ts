import type { PageData } from './data.ts'
import { describeDrift } from './drift.ts'
import { type Html, html } from './html.ts'
import { formatDuration, inLargestUnit, moment, plural } from './time.ts'

/** The facts that an operator asks for first, each a term with its value. */
export function renderFacts(data: PageData, now: Date): Html {
  const { status } = data
  const { service, migrations } = status
  return html`<dl class="facts">
${renderDatabase(data)}
${fact('Migrations', `${migrations.applied.length} applied`, migrations.pending.length === 0 ? 'none pending' : `${migrations.pending.length} pending`)}
${renderDriftFact(data, now)}
${renderResets(data, now)}
${renderTestDatabases(data)}
${fact('Service', `up ${inLargestUnit(service.uptimeSeconds)}`, `version ${service.version}`)}
</dl>`
}

function fact(term: string, value: Html | string, note: Html | string): Html {
  return html`<div><dt>${term}</dt><dd>${value}</dd><dd class="note">${note}</dd></div>
`
}

function renderDatabase({ status: { database } }: PageData): Html {
  if (database === null) return fact('Database', 'not open yet', 'an embedded server is starting')
  const { kind, host, port, name, serverVersion, pgmq } = database
  const version = serverVersion === null ? 'not reached yet' : `PostgreSQL ${serverVersion}`
  const queues = pgmq === null ? 'without PGMQ' : `PGMQ ${pgmq.version ?? 'installed as SQL'}`
  return fact(
    kind === 'embedded' ? 'Embedded database' : 'Database',
    html`<bdi>${name}</bdi>`,
    html`<span class="line address"><bdi>${host}</bdi>:${port}</span> <span class="line">${version}</span> <span class="line">${queues}</span>`,
  )
}

function renderDriftFact({ status: { drift } }: PageData, now: Date): Html {
  const checked =
    drift.checkedAt === null ? 'not checked yet' : html`checked ${moment(drift.checkedAt, now)}`
  return fact('Drift', describeDrift(drift), checked)
}

function renderTestDatabases({ status: { testDatabases } }: PageData): Html | undefined {
  if (testDatabases === null) return undefined
  const { max, lent, ready } = testDatabases
  return fact('Test databases', `${lent} of ${max} lent`, `${ready} ready`)
}

function renderResets({ status: { reset } }: PageData, now: Date): Html {
  const { enabled, allowedHere, count, lastAt, lastDurationMs } = reset
  if (!enabled) return fact('Resets', 'off', html`<code>RESET_ENABLED</code> is not true`)
  if (lastAt === null) {
    const note = allowedHere ? 'allowed here' : 'the database is not marked disposable'
    return fact('Resets', 'none yet', note)
  }
  const took = lastDurationMs === null ? '' : html`, took ${formatDuration(lastDurationMs)}`
  return fact('Resets', plural(count, 'reset'), html`last ${moment(lastAt, now)}${took}`)
}
