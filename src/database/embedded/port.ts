import { connect } from 'node:net'
import { ServiceError } from '../../errors/service-error.ts'
import { openClient } from '../../postgres/client.ts'
import { serverUrl } from './data-folder.ts'
import { OWNER_SETTING } from './owner.ts'

/** Refuses a port that somebody listens on already, and says who where that can be known. */
export async function refuseTakenPort(port: number): Promise<void> {
  if (!(await isTaken(port))) return
  throw new ServiceError(
    'embedded_port_in_use',
    `port ${port} of the embedded server is in use by ${await describeListener(port)}; ` +
      'stop it, or set EMBEDDED_PORT to another port',
  )
}

/** By connecting: to listen for a moment would be in the way of a service that is just starting. */
function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      // The system may pick the very port as the near end; then the socket has met itself.
      resolve(socket.localPort !== port)
      socket.destroy()
    })
  })
}

async function describeListener(port: number): Promise<string> {
  try {
    const client = await openClient(serverUrl(port, 'postgres'), 'port check', { timeoutMs: 2000 })
    const { rows } = await client.query<{ folder: string; owner: string | null }>(
      `select current_setting('data_directory') as folder, current_setting($1, true) as owner`,
      [OWNER_SETTING],
    )
    void client.end().catch(() => {})
    const [row] = rows
    const [pid] = row?.owner?.split('/') ?? []
    const owner = pid === undefined ? 'no service' : `the service with pid ${pid}`
    return `the embedded server of ${owner}, data folder ${row?.folder}`
  } catch {
    return 'another program'
  }
}
