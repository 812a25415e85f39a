import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { MigrationEvent, ServiceEvent } from '../events.ts'
import type { PoolStats } from '../postgres/pool.ts'
import { NOT_READY_REASONS, type Readiness } from '../readiness.ts'
import { SERVICE } from '../version.ts'

/** Where a scrape reads what is true now. All of it is in memory; undefined leaves the metric out. */
export interface MetricsSources {
  readonly readiness: Pick<Readiness, 'current'>
  readonly pool: () => PoolStats | undefined
  /** The result of the last check. */
  readonly drift?: () => DriftFacts | undefined
  readonly testDatabases?: () => TestDatabaseFacts | undefined
}

export interface DriftFacts {
  /** Null before the first check. */
  readonly checkedAt: Date | null
  /** Null where it cannot be known. */
  readonly inSync: boolean | null
  readonly differences: readonly unknown[]
}

export interface TestDatabaseFacts {
  readonly max: number
  readonly lent: number
  readonly ready: number
}

export interface MetricsText {
  readonly contentType: string
  readonly text: string
}

/** The service's metrics, as prom-client keeps them. */
export interface Recorder {
  record(event: ServiceEvent): void
  read(): Promise<MetricsText>
}

const PREFIX = 'commandbus_db_'

/** Most answers come from memory; resets and lending a database take milliseconds to seconds. */
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10, 60]
const RESET_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const MIGRATION_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600]

type Labels = Readonly<Record<string, string>>
/** A value, some with labels, or undefined while there is none. */
type Read = () => number | undefined | readonly (readonly [Labels, number])[]

/** Creates the metrics of one service, in a registry of its own. */
export function createRecorder(sources: MetricsSources): Recorder {
  const { readiness } = sources
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  /** A gauge whose value is read when it is scraped. */
  function gauge(name: string, help: string, read: Read, labelNames: readonly string[] = []): void {
    new Gauge({
      ...{ name: `${PREFIX}${name}`, help, labelNames, registers },
      collect() {
        this.reset()
        const value = read()
        if (typeof value === 'number') this.set(value)
        // Without a value, prom-client would show 0.
        else if (value === undefined) this.remove()
        else for (const [labels, one] of value) this.set(labels, one)
      },
    })
  }

  function histogram<Label extends string>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly Label[],
  ): Histogram<Label> {
    return new Histogram({ name: `${PREFIX}${name}`, help, buckets, labelNames, registers })
  }

  const migrations: { applied?: number; pending?: number } = {}
  let startSeconds: number | undefined

  gauge(
    'build_info',
    'Always 1; the version is a label.',
    () => [[{ version: SERVICE.version }, 1]],
    ['version'],
  )
  gauge('ready', '1 while the service is ready, as /readyz says, else 0.', () =>
    Number(readiness.current.ready),
  )
  gauge(
    'state',
    '1 for the state that /status shows, 0 for every other.',
    () => {
      const { current } = readiness
      const state = current.ready ? 'ready' : current.reason
      return ['ready', ...NOT_READY_REASONS].map((one) => [{ state: one }, Number(one === state)])
    },
    ['state'],
  )
  gauge(
    'start_duration_seconds',
    'From the start of the process until the service was ready for the first time.',
    () => startSeconds,
  )
  gauge(
    'migrations_applied',
    'Migrations in the history of the database, as this service last saw it.',
    () => migrations.applied,
  )
  gauge(
    'migrations_pending',
    'Committed migrations that the database does not have yet.',
    () => migrations.pending,
  )
  const migrationSeconds = histogram(
    'migration_duration_seconds',
    'How long each migration took that this process applied.',
    MIGRATION_SECONDS,
    [],
  )
  const resets = new Counter({
    name: `${PREFIX}resets_total`,
    help: 'Resets by mode; the outcome is succeeded or the code of the error.',
    labelNames: ['mode', 'outcome'],
    registers,
  })
  const resetSeconds = histogram(
    'reset_duration_seconds',
    'How long the resets that succeeded took, without their wait for earlier ones.',
    RESET_SECONDS,
    ['mode'],
  )
  const drift = () => sources.drift?.()
  gauge(
    'drift_in_sync',
    '1 if the schema is what the migrations made, 0 if it differs; absent where that is unknown.',
    () => {
      const inSync = drift()?.inSync
      return typeof inSync === 'boolean' ? Number(inSync) : undefined
    },
  )
  gauge('drift_differences', 'Objects that differ from what the migrations made.', () => {
    const found = drift()
    return typeof found?.inSync === 'boolean' ? found.differences.length : undefined
  })
  gauge(
    'drift_last_check_timestamp_seconds',
    'When the schema was last compared, in Unix time.',
    () => toSeconds(drift()?.checkedAt?.getTime()),
  )
  const testDatabases = () => sources.testDatabases?.()
  gauge(
    'test_databases_max',
    'How many test databases may be lent at once.',
    () => testDatabases()?.max,
  )
  gauge('test_databases_lent', 'Test databases that are lent.', () => testDatabases()?.lent)
  gauge(
    'test_databases_ready',
    'Test databases that can be lent at once.',
    () => testDatabases()?.ready,
  )
  const requestSeconds = histogram(
    'http_request_duration_seconds',
    'Requests by the pattern of their route, method and status.',
    REQUEST_SECONDS,
    ['route', 'method', 'status'],
  )
  gauge(
    'pool_sessions',
    'Database sessions of the pool, in use or idle.',
    () => sources.pool()?.size,
  )
  gauge(
    'pool_idle_sessions',
    'Database sessions of the pool that are idle.',
    () => sources.pool()?.idle,
  )
  gauge(
    'pool_waiting_queries',
    'Queries that wait for a session of the pool.',
    () => sources.pool()?.waiting,
  )
  gauge('pool_max_sessions', 'The most sessions that the pool opens.', () => sources.pool()?.max)

  function noteMigration(event: MigrationEvent): void {
    if (event.kind === 'history_read') {
      migrations.applied = event.applied
      migrations.pending = event.pending
      return
    }
    migrations.applied = (migrations.applied ?? 0) + 1
    migrations.pending = Math.max(0, (migrations.pending ?? 0) - 1)
    migrationSeconds.observe(event.durationMs / 1000)
  }

  return {
    record(event) {
      switch (event.kind) {
        case 'request':
          requestSeconds
            .labels(event.route, event.method, String(event.status))
            .observe(event.durationMs / 1000)
          break
        case 'reset':
          resets.inc({ mode: event.mode, outcome: event.outcome })
          if (event.outcome === 'succeeded') {
            resetSeconds.labels(event.mode).observe(event.durationMs / 1000)
          }
          break
        case 'ready':
          startSeconds = event.startMs / 1000
          migrations.applied = event.applied
          migrations.pending = 0
          break
        case 'history_read':
        case 'migration_applied':
          noteMigration(event)
          break
        case 'start_failed':
          // The state shows it.
          break
      }
    },
    read: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}

function toSeconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : milliseconds / 1000
}
