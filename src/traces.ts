import { setTimeout as sleep } from 'node:timers/promises'
import type { OnEvent } from './events.ts'
import type { Log } from './logger.ts'
import type { StartFacts } from './traces/otlp.ts'

export interface StartTraceOptions {
  /** Base URL of a collector that speaks OTLP over HTTP. */
  readonly endpoint: string
  readonly startedAt: Date
  /** Removes secrets: the message of a failure may have a line of a migration. */
  readonly mask: (text: string) => string
  readonly log: Pick<Log, 'debug' | 'warn'>
  /** How long `close` may wait for a collector. */
  readonly closeMs: number
}

/** The trace of one start: a span, with an event for each migration. */
export interface StartTrace {
  readonly onEvent: OnEvent
  /** Ends the span if the start was interrupted, and waits until it is sent, but not for long. */
  close(): Promise<void>
}

/**
 * Creates the trace of a start. It only takes notes; OpenTelemetry is loaded once the start is over, so
 * that neither it nor the collector delays or fails a start.
 */
export function createStartTrace(options: StartTraceOptions): StartTrace {
  const { endpoint, startedAt, mask, log, closeMs } = options
  const migrations: StartFacts['migrations'][number][] = []
  let sending: Promise<void> | undefined

  async function send(outcome: StartFacts['outcome']): Promise<void> {
    const facts = { startedAt, endedAt: new Date(), migrations, outcome }
    try {
      const { sendStart } = await import('./traces/otlp.ts')
      await sendStart(endpoint, facts)
      log.debug('trace of the start sent')
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log.warn({ reason }, 'could not send the trace of the start (OTEL_EXPORTER_OTLP_ENDPOINT)')
    }
  }

  return {
    onEvent(event) {
      if (sending !== undefined) return
      if (event.kind === 'migration_applied') {
        const { filename, durationMs } = event
        migrations.push({ filename, durationMs, at: new Date() })
      } else if (event.kind === 'ready') {
        sending = send({ kind: 'ready' })
      } else if (event.kind === 'start_failed') {
        sending = send({ kind: 'failed', code: event.code, message: mask(event.message) })
      }
    },
    async close() {
      sending ??= send({ kind: 'stopped' })
      await Promise.race([sending, sleep(closeMs, undefined, { ref: false })])
    },
  }
}
