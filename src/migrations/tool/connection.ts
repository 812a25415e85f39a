import type pg from 'pg'
import type { SessionClient } from '../../postgres/connection/client.ts'
import { openSession } from '../../postgres/connection/session.ts'

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
