import type { Server } from 'node:http'
import { networkInterfaces } from 'node:os'
import type { Config } from '../config/config.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'

/** Listens on HOST and PORT, and logs each address; throws `address_not_available`. */
export async function listen(
  server: Server,
  { host, port }: Pick<Config, 'host' | 'port'>,
  log: Log,
): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (cause) {
    const { code, syscall, message } = cause as NodeJS.ErrnoException
    if (syscall === undefined) throw cause
    const expected = code === 'EADDRINUSE' ? 'a free port' : 'an address of this machine'
    throw new ServiceError(
      'address_not_available',
      `cannot listen on HOST ${host}, PORT ${port}: ${message}; expected ${expected}`,
      { cause },
    )
  }
  for (const url of listUrls(server)) log.info(`listening at ${url}`)
}

/** Where the server can be reached; for all IPv4 addresses, each of this machine, its own first. */
function listUrls(server: Server): readonly string[] {
  const listening = server.address()
  if (listening === null || typeof listening === 'string') return []
  const { address, port } = listening
  const addresses = address === '0.0.0.0' ? listAddresses() : [address]
  return addresses.map((one) => `http://${one.includes(':') ? `[${one}]` : one}:${port}`)
}

function listAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((found) => found ?? [])
  return all
    .filter(({ family }) => family === 'IPv4')
    .sort((a, b) => Number(b.internal) - Number(a.internal))
    .map(({ address }) => address)
}
