import type { FastifySchema, RouteOptions } from 'fastify'
import pino from 'pino'
import { type AppDeps, createApp } from '../../src/http/app.ts'
import { createReadiness } from '../../src/readiness.ts'

/** A route of the service, without the HEAD that Fastify adds to each GET. */
export interface Route {
  readonly method: string
  readonly url: string
  readonly schema: FastifySchema
}

const neverCalled = () => {
  throw new Error('the description calls no route')
}

/** Everything that the service can have behind its routes: a new optional part has to be added here. */
export const ALL_DEPS: {
  [Name in keyof Required<Omit<AppDeps, 'web'>>]: NonNullable<AppDeps[Name]>
} = {
  log: pino({ level: 'silent' }),
  hosts: { host: '127.0.0.1', allowedHosts: [] },
  mask: (text) => text,
  readiness: createReadiness(),
  readStatus: neverCalled,
  readOverview: neverCalled,
  readMetrics: neverCalled,
  onEvent: neverCalled,
  reset: { token: '', assertReady: neverCalled, reset: neverCalled },
  databases: { token: '', getDatabases: neverCalled },
  apiDocsFolder: new URL('file:///nowhere/'),
}

/** Lists every route that the service can have, that is, with everything switched on. */
export async function listRoutes(): Promise<Route[]> {
  const app = createApp(ALL_DEPS)
  const routes: Route[] = []
  app.addHook('onRoute', ({ method, url, schema }: RouteOptions) => {
    for (const one of [method].flat().filter((name) => name !== 'HEAD')) {
      if (schema === undefined) throw new Error(`${one} ${url} declares no schema`)
      routes.push({ method: one, url, schema })
    }
  })
  await app.ready()
  await app.close()
  return routes
}
