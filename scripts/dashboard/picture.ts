// Draws the Grafana dashboard as a picture for the documentation, without Grafana: a service runs for some
// minutes, a real Prometheus scrapes it, each panel's own queries are asked of that Prometheus, and
// Chromium takes the picture of what they gave.
//
//   npm run docs:dashboard -- [--seconds 180]
//
// Needs the programs prometheus and chromium (Debian has both).
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { findFreePort } from '../../test/support/port.ts'
import { type Dashboard, drawDashboard, heightOf, type Series, STEPS } from './draw.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '180' } } })
const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'commandbus-dashboard-'))
const token = 'a-token-for-the-picture'
const [port, postgresPort, prometheusPort] = await Promise.all([
  findFreePort(),
  findFreePort(),
  findFreePort(),
])
const service = `http://127.0.0.1:${port}`
const prometheus = `http://127.0.0.1:${prometheusPort}`

writeFileSync(
  join(folder, 'prometheus.yaml'),
  JSON.stringify({
    global: { scrape_interval: '1s' },
    scrape_configs: [
      { job_name: 'commandbus-db', static_configs: [{ targets: [`127.0.0.1:${port}`] }] },
    ],
  }),
)
const children = [
  spawn('prometheus', [
    `--config.file=${join(folder, 'prometheus.yaml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${prometheusPort}`,
    '--log.level=error',
  ]),
  spawn(process.execPath, ['dist/src/bin/server.js'], {
    cwd: root,
    env: {
      ...{ PATH: process.env.PATH, PORT: String(port), RESET_ENABLED: 'true', RESET_TOKEN: token },
      ...{ EMBEDDED_DATA_DIR: join(folder, 'postgres'), EMBEDDED_PORT: String(postgresPort) },
      ...{ EMBEDDED_PASSWORD: token, TEST_DATABASES_MAX: '4', TEST_DATABASES_TOKEN: token },
    },
  }),
]
try {
  const startedAt = Date.now() / 1000
  await until(async () => (await fetch(`${service}/readyz`)).ok)
  await until(async () => (await fetch(`${prometheus}/-/ready`)).ok)
  await use(Number(values.seconds))
  await draw(startedAt, Date.now() / 1000)
} finally {
  await Promise.all(
    children.map((child) => {
      const ended = new Promise((resolve) => child.once('close', resolve))
      child.kill('SIGTERM')
      return ended
    }),
  )
  rmSync(folder, { recursive: true, force: true })
}

/** What a run of tests, probes and people do to a service, and some of what goes wrong. */
async function use(seconds: number): Promise<void> {
  const client = new pg.Client({
    connectionString: `postgres://postgres:${token}@127.0.0.1:${postgresPort}/commandbus`,
  })
  client.on('error', () => {})
  await client.connect()
  const end = Date.now() + seconds * 1000
  for (let turn = 0; Date.now() < end; turn++) {
    await Promise.all(['/livez', '/readyz', '/readyz'].map(ask))
    if (turn % 5 === 0) await Promise.all([ask('/status'), ask('/nowhere')])
    if (turn % 10 === 3) {
      await client
        .query(`insert into commandbus.batch (domain, batch_id, name, total_count)
        select 'd', gen_random_uuid(), 'a batch', 1 from generate_series(1, 1000)`)
        .catch(() => {})
      await reset('data')
    }
    if (turn % 40 === 10) void borrow()
    if (turn % 200 === 150) await client.query('create table commandbus.extra (id int)')
    if (turn % 200 === 190) await reset('rebuild')
    await sleep(200)
  }
  await client.end()
}

async function ask(path: string): Promise<void> {
  await (await fetch(`${service}${path}`)).text()
}

/** A test database, for a few seconds. */
async function borrow(): Promise<void> {
  const headers = { authorization: `Bearer ${token}` }
  const lent = await fetch(`${service}/databases`, { method: 'POST', headers })
  const { id } = (await lent.json()) as { id?: string }
  if (id === undefined) return
  await sleep(6000)
  await fetch(`${service}/databases/${id}`, { method: 'DELETE', headers })
}

async function reset(mode: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` }
  const body = JSON.stringify({ mode })
  await (await fetch(`${service}/reset`, { method: 'POST', headers, body })).text()
}

async function draw(start: number, end: number): Promise<void> {
  const dashboard = JSON.parse(
    readFileSync(join(root, 'deploy/grafana/dashboard.json'), 'utf8'),
  ) as Dashboard
  const html = await drawDashboard(dashboard, async (query, isInstant) => {
    const expr = query
      .replaceAll('$job', '.*')
      .replaceAll('$instance', '.*')
      .replaceAll('$__rate_interval', '15s')
      .replaceAll('$__range', `${Math.ceil(end - start)}s`)
    const path = isInstant
      ? `query?time=${end}`
      : `query_range?start=${start}&end=${end}&step=${(end - start) / STEPS}`
    const response = await fetch(`${prometheus}/api/v1/${path}&query=${encodeURIComponent(expr)}`)
    const { status, error, data } = (await response.json()) as {
      status: string
      error?: string
      data: { result: readonly (Series & { value?: readonly [number, string] })[] }
    }
    if (status !== 'success') throw new Error(`${expr}: ${error}`)
    return data.result.map(({ metric, values: points, value }) => ({
      metric,
      values: points ?? (value === undefined ? [] : [value]),
    }))
  })
  const page = join(folder, 'dashboard.html')
  writeFileSync(page, html)
  execFileSync(
    'chromium',
    [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'],
      ...[
        `--window-size=1390,${heightOf(dashboard)}`,
        `--user-data-dir=${join(folder, 'chromium')}`,
      ],
      ...[`--screenshot=${join(root, 'docs/operate/dashboard.png')}`, page],
    ],
    { stdio: 'ignore' },
  )
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await condition().catch(() => false)) return
    await sleep(200)
  }
  throw new Error('the service or Prometheus is not ready')
}
