import type { Json } from './components.ts'

/** Describes headers by their schemas; `isOptional` where only some of the answers have them. */
export function describeHeaders(
  headers: Readonly<Record<string, object>>,
  isOptional = false,
): Json {
  const described = Object.entries(headers).map(([name, schema]) => {
    const { description, ...rest } = schema as Json
    return [
      name,
      { ...(description !== undefined && { description }), required: !isOptional, schema: rest },
    ]
  })
  return Object.fromEntries(described)
}
