// The page on monitoring, the alert rules and the dashboard, checked against what a scrape shows.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createMetrics } from '../src/metrics.ts'
import { NOT_READY_REASONS } from '../src/readiness.ts'
import { readProjectFile } from './support/files.ts'
import { listMetricNames } from './support/metrics.ts'
import { createFolder } from './support/migrations-folder.ts'
import { findMissingPromtool } from './support/promtool.ts'

/** A scrape that shows every metric, with every label. */
async function scrapeEverything(): Promise<string> {
  const metrics = createMetrics({
    readiness: { current: { ready: true } },
    pool: () => ({ size: 1, idle: 1, waiting: 0, max: 5 }),
    drift: () => ({ checkedAt: new Date(), inSync: true, differences: [] }),
    testDatabases: () => ({ max: 1, lent: 0, ready: 1 }),
  })
  metrics.onEvent({ kind: 'ready', applied: 1, startMs: 1 })
  metrics.onEvent({ kind: 'reset', mode: 'data', outcome: 'succeeded', durationMs: 1 })
  metrics.onEvent({
    ...{ kind: 'request', route: '/livez', method: 'GET', status: 200, durationMs: 1 },
  })
  return (await metrics.read()).text
}

const scrape = await scrapeEverything()

/** The labels of a metric's first series, but for the bounds of a histogram's buckets. */
function labelsOf(name: string): string[] {
  const [, labels = ''] = new RegExp(`^${name}(?:_count)?{(.*)} `, 'm').exec(scrape) ?? []
  return [...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label)
}

test('the page on monitoring lists the metrics that a scrape shows, and no other', async (t) => {
  const metrics = [...scrape.matchAll(/^# HELP (commandbus_db_\S+) (.+)\n# TYPE \S+ (\S+)$/gm)].map(
    ([, name = '', help, type]) => [name, type, labelsOf(name).join(', '), help],
  )

  const rows = readProjectFile('docs/operate/monitoring.md')
    .split('\n')
    .filter((line) => line.startsWith('| `commandbus_db_'))
    .map((line) =>
      line
        .replaceAll('`', '')
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )

  t.ok(metrics.length > 15)
  t.strictSame(rows, metrics)
})

const RULES = 'deploy/prometheus/alerts.yaml'
const DASHBOARD = 'deploy/grafana/dashboard.json'

/** A panel of the dashboard, as far as it is checked. */
interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
}

const { panels } = JSON.parse(readProjectFile(DASHBOARD)) as { panels: readonly Panel[] }
const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))

for (const [file, text] of [
  [RULES, readProjectFile(RULES)],
  [DASHBOARD, queries.join('\n')],
] as const) {
  test(`every metric, label and state in ${file} is one that a scrape shows`, async (t) => {
    const shown = new Set(listMetricNames(scrape))
    const used = new Set([...text.matchAll(/\b(?:commandbus_db|process|nodejs)_\w+/g)].flat())
    t.ok(used.size >= 8)
    for (const name of used) t.ok(shown.has(name), name)

    const labels = new Set([...scrape.matchAll(/(\w+)="/g)].map(([, label = '']) => label))
    for (const [, label = ''] of text.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)) {
      t.ok(['job', 'instance', ...labels].includes(label), label)
    }
    for (const [, states = ''] of text.matchAll(/\bstate=~?"([^"]+)"/g)) {
      for (const state of states.split('|')) t.ok(NOT_READY_REASONS.includes(state as never), state)
    }
  })
}

test('every metric of ours is on the dashboard, so that nothing is measured in vain', async (t) => {
  const text = queries.join('\n')
  const names = [...scrape.matchAll(/^# TYPE (commandbus_db_\S+)/gm)].map(([, name = '']) => name)
  const unused = ['drift_in_sync', 'drift_last_check_timestamp_seconds']

  t.strictSame(
    names.filter((name) => !text.includes(name)),
    unused.map((name) => `commandbus_db_${name}`),
    'alerts and /status have these',
  )
})

test('every alert has a summary and a section that says what to do', async (t) => {
  const [, ...alerts] = readProjectFile(RULES).split('- alert: ')
  const page = readProjectFile('docs/operate/monitoring.md')

  t.ok(alerts.length > 8)
  for (const alert of alerts) {
    const name = /^\w+/.exec(alert)?.[0] ?? ''
    t.match(alert, /^ +summary: "[^"]{10,}"$/m, name)
    t.match(alert, `runbook: docs/operate/monitoring.md#${name.toLowerCase()}\n`, name)
    t.match(alert, /^ +severity: (critical|warning)$/m, name)
    t.match(page, `\n### ${name}\n`, name)
  }
})

test('promtool accepts the alert rules and the queries of the dashboard', {
  skip: findMissingPromtool(),
}, async (t) => {
  const run = (...args: string[]) => {
    try {
      return execFileSync('promtool', args, { encoding: 'utf8', stdio: 'pipe' })
    } catch (error) {
      return (
        (error as { stdout: string; stderr: string }).stdout + (error as { stderr: string }).stderr
      )
    }
  }
  const rules = join(createFolder(t), 'queries.yaml')
  const plain = queries.map((query) => query.replace(/\$__\w+/g, '5m'))
  writeFileSync(
    rules,
    JSON.stringify({
      groups: [{ name: 'a', rules: plain.map((expr, i) => ({ record: `query_${i}`, expr })) }],
    }),
  )

  const { length } = readProjectFile(RULES).match(/- alert:/g) ?? []
  t.match(run('check', 'rules', RULES), `SUCCESS: ${length} rules found`)
  t.match(run('test', 'rules', 'deploy/prometheus/alerts.test.yaml'), 'SUCCESS')
  t.match(run('check', 'rules', rules), `SUCCESS: ${queries.length} rules found`)
})
