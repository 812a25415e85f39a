import type {
  FastifyPluginAsync,
  FastifyPluginOptions,
  FastifyTypeProvider,
  RawServerDefault,
} from 'fastify'
import type { Static, TSchema } from 'typebox'

/** Gives handlers the types of the schemas that their routes declare. */
interface TypeBoxProvider extends FastifyTypeProvider {
  readonly validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown
  readonly serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown
}

/** A route as a plugin that is handed what it needs. */
export type RoutePlugin<Options extends FastifyPluginOptions = Record<never, never>> =
  FastifyPluginAsync<Options, RawServerDefault, TypeBoxProvider>

declare module 'fastify' {
  /** What the OpenAPI description says of a route besides its schemas. */
  interface FastifySchema {
    /** Default: made of the method and the path. */
    readonly operationId?: string
    readonly tags?: readonly string[]
    readonly summary?: string
    readonly description?: string
    readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
    /** By status and name; those of problems are in schemas/problem-details.ts. */
    readonly responseHeaders?: Readonly<Record<number, Readonly<Record<string, TSchema>>>>
  }
}
