import type pg from 'pg'
import type { SessionClient } from '../../postgres/connection/client.ts'
import { openSession } from '../../postgres/connection/session.ts'

/** One that has been idle for longer may have been forgotten by a firewall, without a word. */
const MAX_IDLE_MS = 30_000

export interface ConnectionOptions {
  readonly url: string
  readonly applicationName: string
  /** Called with each connection before it is open. */
  readonly onClient?: ((client: SessionClient) => void) | undefined
}

/** What a connection tells beside results. */
export interface ConnectionListener {
  readonly onNotice: (severity: string, text: string) => void
  /** PostgreSQL ends the session. The driver reports only that the connection is gone. */
  readonly onFatal: (error: pg.DatabaseError) => void
}

/** A connection that has logged in, and what the server has reported on it since the first message. */
export interface Connection {
  readonly client: SessionClient
  readonly report: Report
  readonly parameters: ReadonlyMap<string, string>
  /** Sets who hears what it tells. Until then it is dropped. */
  listen(listener: ConnectionListener): void
}

export interface Report {
  /** How many statements have completed. */
  completed: number
  hasCommitted: boolean
  hasBegun: boolean
  /** `I` outside a transaction, `T` inside one, `E` inside one that has failed. */
  status: string
}

export const NOTHING_RUN = { completed: 0, hasCommitted: false, hasBegun: false }

/** Connects and logs in. */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  let listener: ConnectionListener | undefined
  let watched: ReturnType<typeof watch> | undefined
  const { client } = await openSession(options.url, {
    applicationName: options.applicationName,
    // Before the login, because the server reports its parameters with it.
    onClient(attempt) {
      options.onClient?.(attempt)
      attempt.on('notice', ({ severity = 'NOTICE', message = '' }) =>
        listener?.onNotice(severity, message),
      )
      watched = watch(attempt, (error) => listener?.onFatal(error))
    },
  })
  if (watched === undefined) throw new Error('no session was opened')
  return {
    client,
    ...watched,
    listen(to) {
      listener = to
    },
  }
}

/** A connection that was begun before it was needed. */
export interface AheadConnection {
  /** Returns it, if it is one to this database, is open, and was not idle for long. */
  take(url: string): Promise<Connection | undefined>
  /** Closes it, where nothing needs it any more. */
  close(): void
}

/** Begins to connect. If that fails, it is tried again when the connection is needed. */
export function connectAhead(options: ConnectionOptions): AheadConnection {
  let isOpen = true
  const opened = openConnection(options).then(
    (connection) => {
      connection.client.once('end', () => {
        isOpen = false
      })
      return { connection, openedAt: performance.now() }
    },
    () => undefined,
  )
  const close = () => void opened.then((it) => it?.connection.client.destroy('it is not needed'))
  return {
    async take(url) {
      const { connection, openedAt = 0 } = (await opened) ?? {}
      const isUsable = isOpen && url === options.url && performance.now() - openedAt < MAX_IDLE_MS
      if (isUsable) return connection
      close()
      return undefined
    },
    close,
  }
}

/** Follows what the server reports beside results. */
function watch(
  client: SessionClient,
  onFatal: (error: pg.DatabaseError) => void,
): { report: Report; parameters: Map<string, string> } {
  const report: Report = { ...NOTHING_RUN, status: 'I' }
  const parameters = new Map<string, string>()
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter }
  connection.on('commandComplete', ({ text }: { text: string }) => {
    report.completed++
    if (text === 'COMMIT') report.hasCommitted = true
    if (text === 'BEGIN' || text === 'START TRANSACTION') report.hasBegun = true
  })
  connection.on('errorMessage', (error: pg.DatabaseError) => {
    if (error.severity === 'FATAL') onFatal(error)
  })
  connection.on('readyForQuery', ({ status }: { status: string }) => {
    report.status = status
  })
  connection.on('parameterStatus', (message: { parameterName: string; parameterValue: string }) =>
    parameters.set(message.parameterName, message.parameterValue),
  )
  return { report, parameters }
}
