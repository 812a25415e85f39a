import { connect } from 'node:net'
import { basename } from 'node:path'
import { ServiceError } from '../../errors/service-error.ts'
import { OWNER_SETTING } from './owner.ts'
import { listProcesses, readArguments } from './process.ts'

/** Throws if the port is in use; the error names the program if it is an embedded server. */
export async function assertPortFree(port: number): Promise<void> {
  if (!(await isInUse(port))) return
  throw new ServiceError(
    'embedded_port_in_use',
    `port ${port} of the embedded server is in use by ${describeListener(port)}; ` +
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

/** An embedded server's command line, which every user can read, says which one it is. */
function describeListener(port: number): string {
  for (const pid of listProcesses()) {
    const [program = '', ...options] = readArguments(pid)
    if (basename(program) !== 'postgres' || !options.includes(`port=${port}`)) continue
    const owner = options.find((option) => option.startsWith(`${OWNER_SETTING}=`))
    if (owner === undefined) continue
    const [ownerPid] = owner.slice(OWNER_SETTING.length + 1).split('/')
    const dataDir = options[options.indexOf('-D') + 1]
    return `the embedded server of the service with pid ${ownerPid}, data folder ${dataDir}`
  }
  return 'another program'
}
