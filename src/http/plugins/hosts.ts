import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Config } from '../../config/config.ts'
import { isLoopback, parseHost, parseHostSetting } from '../../config/host-name.ts'
import { ServiceError } from '../../errors/service-error.ts'

export type HostSettings = Pick<Config, 'host' | 'allowedHosts'>

/**
 * Rejects requests that are addressed to a name that is not ours. A web page of another site can
 * connect to this service by a name of its own, by DNS rebinding; the `Host` then shows that name.
 */
export function checkHosts(app: FastifyInstance, settings: HostSettings): void {
  const listening = parseHostSetting(settings.host)
  const isChecked =
    settings.allowedHosts.length > 0 || (listening !== undefined && isLoopback(listening))
  const allowed = new Set([...settings.allowedHosts, listening])

  app.addHook('onRequest', async (request) => {
    for (const host of listHosts(request)) {
      if (!isChecked || isLoopback(host) || allowed.has(host)) continue
      // A health check that asks a container by its address: no page of another site can have that.
      if (host === parseHostSetting(request.socket.localAddress ?? '')) continue
      throw new ServiceError(
        'host_not_allowed',
        `this service does not answer as ${host.slice(0, 100)}; ALLOWED_HOSTS lists the names that it answers to`,
      )
    }
  })
}

/** The hosts that a request names: in its `Host`, and in its first line if that has a whole URL. */
function listHosts({ raw }: FastifyRequest): string[] {
  const given = raw.rawHeaders.filter(
    (_, index) => index % 2 === 1 && raw.rawHeaders[index - 1]?.toLowerCase() === 'host',
  )
  const [, authority] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(raw.url ?? '') ?? []
  // Only HTTP/1.0 knows requests without a host; old health checks send such.
  const isHostNeeded = raw.httpVersion !== '1.0'
  const hosts = [...given, ...(authority === undefined ? [] : [authority])].map(parseHost)
  if (given.length > 1 || hosts.includes(undefined) || (isHostNeeded && given.length === 0)) {
    throw new ServiceError('bad_request', 'expected one header Host with a name or an address')
  }
  return hosts.filter((host) => host !== undefined)
}
