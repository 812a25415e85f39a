import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import { describeError, sqlstateOf } from '../postgres/errors.ts'
import type { Sessions } from '../postgres/sessions.ts'

/** Together less than the two seconds within which a lost database has to show. */
const INTERVAL_MS = 500
const TIMEOUT_MS = 1000
/** How many reasons of one loss are logged. */
const MAX_REASONS = 10
const STARTING_INTERVAL_MS = 2000
/** While the service stops: a database that does not answer may delay it by a second. */
const STOPPING_TIMEOUT_MS = 600
/** A database that has not answered at all for so long has lost every session. */
const SILENCE_MS = 5000

export interface Verdict {
  /** What is wrong with the database. */
  readonly problem?: string | undefined
  /** The problem may only go away for a new session. */
  readonly needsNewSession?: boolean
}

export interface MonitorOptions {
  readonly sessions: Pick<Sessions, 'open' | 'endAll' | 'endSilent'>
  /** Receives what is wrong with the database, or undefined once nothing is. */
  readonly onChange: (problem: string | undefined) => void
  /** Checks the database; `isNew` says that this session has not been used yet. */
  readonly check: (client: SessionClient, isNew: boolean) => Promise<Verdict>
  /** While the service starts, no session is kept between checks: a role may be limited to a few. */
  readonly isStarting: () => boolean
  readonly log: Log
  /** From here on a session that does not answer is ended at once. */
  readonly stopping: AbortSignal
  /** Ends the monitor. */
  readonly signal: AbortSignal
}

export interface Monitor {
  /** Checks the database twice a second over its own session, until the signal aborts. */
  run(): Promise<void>
  /** Checks at once; resolves when a check that began after this call is complete. */
  recheck(): Promise<void>
  /** The session in which the last check was answered; others may run short statements in it, of one message each. */
  readonly session: SessionClient | undefined
  /** Takes over a session that the next check uses, and that belongs to the monitor from now on. */
  adopt(session: SessionClient): void
}

/** A session whose check was not answered in time: slow, or silent for ever. */
interface Suspect {
  readonly client: SessionClient
  isSilent: boolean
}

/**
 * Creates the monitor. Only one check runs at a time, so a server that is recovering is not flooded with
 * connections.
 *
 * A late answer is a problem, but no loss yet: a busy server is slow, and a migration that keeps it busy
 * must not be ended for that. All sessions count as lost, and are ended, when a later check is answered in
 * a new session while the earlier one is still waiting, or when nothing is answered for five seconds.
 */
export function createMonitor(options: MonitorOptions): Monitor {
  const { sessions, onChange, check, isStarting, log, stopping, signal } = options
  let client: SessionClient | undefined
  let adopted: SessionClient | undefined
  let suspect: Suspect | undefined
  let problem: string | undefined
  let silentSince: number | undefined
  let waiting: (() => void)[] = []
  let wake = () => {}

  /** Of the current loss. Two that alternate are logged once each. */
  const logged = new Set<string>()

  function report(found: string | undefined): void {
    if (found === problem) return
    if (found === undefined) {
      if (!stopping.aborted) log.info('database connection restored')
      logged.clear()
    } else if (!logged.has(found) && logged.size < MAX_REASONS) {
      log.warn({ reason: found }, 'database unavailable')
      logged.add(found)
    }
    problem = found
    onChange(found)
  }

  function forget(): void {
    void client?.end()
    client = undefined
  }

  /** Ends all sessions but this one. */
  function declareLoss(reason: string, except?: SessionClient): void {
    log.warn({ reason }, 'database sessions ended')
    suspect = undefined
    silentSince = undefined
    if (except === undefined) client = undefined
    sessions.endAll(reason, except)
  }

  async function tick(): Promise<void> {
    const timeoutMs = stopping.aborted ? STOPPING_TIMEOUT_MS : TIMEOUT_MS
    try {
      const isNew = client === undefined
      client ??= takeAdopted() ?? (await openSession(timeoutMs))
      const current = client
      const checking = check(current, isNew)
      const verdict = await within(timeoutMs, checking)
      if (verdict === undefined) return onLate(current, checking)
      if (suspect?.isSilent)
        declareLoss('the database no longer answers in older sessions', current)
      else void suspect?.client.end()
      suspect = undefined
      silentSince = undefined
      report(verdict.problem)
      const silent = await within(timeoutMs, sessions.endSilent(current))
      if (silent) log.warn({ sessions: silent }, 'silent database sessions ended')
      if (verdict.needsNewSession || isStarting()) forget()
    } catch (error) {
      report(describeError(error))
      forget()
      if (isSilence(error)) onSilence()
    }
  }

  async function openSession(timeoutMs: number): Promise<SessionClient> {
    return watch(await sessions.open('monitor', { timeoutMs }))
  }

  function takeAdopted(): SessionClient | undefined {
    const taken = adopted
    adopted = undefined
    return taken
  }

  function watch(opened: SessionClient): SessionClient {
    // A loss shows at once, without waiting for the next check.
    opened.on('error', (error) => {
      if (opened === client) report(describeError(error))
    })
    return opened
  }

  function onLate(late: SessionClient, checking: Promise<unknown>): void {
    report('the database did not answer in time')
    client = undefined
    if (suspect !== undefined) {
      late.destroy('another session is waiting already')
    } else {
      const found: Suspect = { client: late, isSilent: true }
      suspect = found
      const answered = () => {
        found.isSilent = false
      }
      checking.then(answered, answered)
    }
    onSilence()
  }

  function onSilence(): void {
    silentSince ??= performance.now()
    const isOver = performance.now() - silentSince >= SILENCE_MS
    if (isOver || stopping.aborted) declareLoss('the database does not answer')
  }

  function pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, isStarting() ? STARTING_INTERVAL_MS : INTERVAL_MS)
      timer.unref()
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  stopping.addEventListener('abort', () => {
    if (silentSince !== undefined) declareLoss('the database does not answer')
    wake()
  })
  signal.addEventListener('abort', () => wake())

  return {
    async run() {
      while (!signal.aborted) {
        if (waiting.length === 0) await pause()
        const waiters = waiting
        waiting = []
        if (!signal.aborted) await tick()
        for (const resolve of waiters) resolve()
      }
      void suspect?.client.destroy('the service is stopping')
      await Promise.all([client?.end(), adopted?.end()])
      for (const resolve of waiting) resolve()
    },
    adopt(session) {
      if (signal.aborted || client !== undefined) {
        void session.end()
        return
      }
      adopted = watch(session)
      session.once('end', () => {
        if (adopted === session) adopted = undefined
      })
    },
    get session() {
      return problem === undefined && suspect === undefined ? client : undefined
    },
    async recheck() {
      if (signal.aborted) return
      await new Promise<void>((resolve) => {
        waiting.push(resolve)
        wake()
      })
    },
  }
}

/** The result, or undefined if there is none in time. */
async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T | undefined> {
  const timer = new AbortController()
  const late = sleep(timeoutMs, undefined, { signal: timer.signal, ref: false }).catch(() => {})
  try {
    return await Promise.race([work, late as Promise<undefined>])
  } finally {
    timer.abort()
  }
}

/** Whether nothing came back; a rejected login, or a server with too many connections, is an answer. */
function isSilence(error: unknown): boolean {
  return sqlstateOf(error) === undefined && !(error instanceof ServiceError)
}
