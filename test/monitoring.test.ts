// The page on monitoring, checked against what a scrape shows.
import { test } from 'tap'
import { createMetrics } from '../src/metrics.ts'
import { readProjectFile } from './support/files.ts'

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
