import { randomBytes } from 'node:crypto'
import { applicationName } from '../../postgres/application-name.ts'
import type { SessionClient } from '../../postgres/connection/client.ts'
import { openAhead } from './ahead.ts'
import { type Connection, type ConnectionOptions, openConnection } from './connection.ts'
import type { ToolEnd, ToolJob, ToolMessage } from './messages.ts'

/** One run of graphile-migrate. */
export interface Tool {
  /** What pg_stat_activity shows for its sessions. */
  readonly applicationName: string
  /** Runs its one job; resolves with how it ended, and never rejects. */
  run(job: ToolJob, onMessage: (message: ToolMessage) => void): Promise<ToolEnd>
  /** Resolves when its sessions have ended by themselves. */
  ended(): Promise<void>
  /** Closes its connections, so that it ends at its next step; what it runs in PostgreSQL goes on. */
  stop(): void
}

/**
 * Prepares a run. Given the URL of the job's database, it begins to connect, and loads graphile-migrate meanwhile;
 * until it has its job, it does nothing in the database.
 */
export function prepareTool(url?: string): Tool {
  const name = applicationName(`migration ${randomBytes(4).toString('hex')}`)
  const connections = createConnections()
  // Imported only here, because a start with nothing pending has to be fast.
  const load = () => import('./migrate.ts')
  const connecting = url === undefined ? undefined : connectAhead(url, name, connections.add)
  const ahead = connecting?.ahead
  const loaded = connecting === undefined ? load() : connecting.loginBegun.then(load)
  return {
    applicationName: name,
    async run(job, onMessage) {
      const { runMigrate } = await loaded
      return runMigrate({
        ...{ job, ahead, onMessage, applicationName: name, onClient: connections.add },
      })
    },
    ended: connections.ended,
    stop: connections.closeAll,
  }
}

/** Begins to connect, and says when the server has something to do: then there is time to load modules. */
function connectAhead(
  url: string,
  applicationName: string,
  onClient: ConnectionOptions['onClient'],
) {
  let reportLogin = () => {}
  const loginBegun = new Promise<void>((resolve) => {
    reportLogin = resolve
  })
  const connect = () =>
    openConnection({
      ...{ url, applicationName },
      onClient(client) {
        onClient?.(client)
        // Its first message is sent before.
        setImmediate(reportLogin)
      },
    }).finally(reportLogin)
  return { ahead: openAhead(url, connect, disconnect), loginBegun }
}

function disconnect({ client }: Connection): void {
  client.destroy('it is not needed')
}

/** The connections of a run. */
function createConnections() {
  const open = new Set<SessionClient>()
  let isClosed = false
  const close = (client: SessionClient) => client.destroy('the run of migrations was stopped')
  return {
    add(client: SessionClient): void {
      open.add(client)
      client.once('end', () => open.delete(client))
      if (isClosed) close(client)
    },
    async ended(): Promise<void> {
      const each = (client: SessionClient) =>
        new Promise<void>((resolve) => client.once('end', resolve))
      await Promise.all([...open].map(each))
    },
    closeAll(): void {
      isClosed = true
      for (const client of open) close(client)
    },
  }
}
