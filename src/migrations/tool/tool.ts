import { randomBytes } from 'node:crypto'
import { applicationName } from '../../postgres/application-name.ts'
import type { SessionClient } from '../../postgres/connection/client.ts'
import { openAhead } from './ahead.ts'
import { type Connection, openConnection } from './connection.ts'
import type { ToolEnd, ToolJob, ToolMessage } from './messages.ts'

/** One run of graphile-migrate. */
export interface Tool {
  /** What pg_stat_activity shows for its sessions. */
  readonly applicationName: string
  /** Runs its one job; resolves with how it ended, and never rejects. */
  run(job: ToolJob, onMessage: (message: ToolMessage) => void): Promise<ToolEnd>
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
  const connect = (to: string) =>
    openConnection({ url: to, applicationName: name, onClient: connections.add })
  const ahead = url === undefined ? undefined : openAhead(url, () => connect(url), disconnect)
  // Imported only here, because a start with nothing pending has to be fast.
  const loaded = import('./migrate.ts')
  return {
    applicationName: name,
    async run(job, onMessage) {
      const { runMigrate } = await loaded
      return runMigrate({
        ...{ job, ahead, onMessage, applicationName: name, onClient: connections.add },
      })
    },
    stop: connections.closeAll,
  }
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
    closeAll(): void {
      isClosed = true
      for (const client of open) close(client)
    },
  }
}
