import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/config.ts'
import { ServiceError } from '../errors/service-error.ts'

/** Listens on HOST and PORT, and logs the address. */
export async function listen(
  app: FastifyInstance,
  { host, port }: Pick<Config, 'host' | 'port'>,
): Promise<void> {
  try {
    await app.listen({ host, port, listenTextResolver: (address) => `listening at ${address}` })
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
}
