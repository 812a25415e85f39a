export type Json = Record<string, unknown>

/** The shared schemas of a description. */
export interface Components {
  readonly schemas: Json
  /** Puts every schema with an `$id` among the components, and a reference in its place. */
  refer(schema: unknown): unknown
  /** Adds a schema under a name, once, and returns a reference to it. */
  add(name: string, schema: () => Json): Json
}

export function createComponents(): Components {
  const schemas: Json = {}

  function refer(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(refer)
    if (typeof value !== 'object' || value === null) return value
    const { $id: id, ...rest } = value as Json
    const described = () =>
      Object.fromEntries(Object.entries(rest).map(([key, member]) => [key, refer(member)]))
    return typeof id === 'string' ? add(id, described) : described()
  }

  function add(name: string, schema: () => Json): Json {
    schemas[name] ??= schema()
    return { $ref: `#/components/schemas/${name}` }
  }

  return { schemas, refer, add }
}
