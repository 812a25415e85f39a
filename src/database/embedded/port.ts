import { connect } from 'node:net'
import { ServiceError } from '../../errors/service-error.ts'
import { openClient } from '../../postgres/client.ts'
import { serverUrl } from './data-folder.ts'
import { OWNER_SETTING } from './owner.ts'

/** Throws if the port is in use; the error names the program if it is an embedded server. */
export async function assertPortFree(port: number): Promise<void> {
  if (!(await isInUse(port))) return
  throw new ServiceError(
    'embedded_port_in_use',
    `port ${port} of the embedded server is in use by ${await describeListener(port)}; ` +
      'stop it, or set EMBEDDED_PORT to another port',
  )
}

/** Connects, because listening would briefly block a service that is starting at the same time. */
function isInUse(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      // The system may choose this very port for the near end: the socket is connected to itself.
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
