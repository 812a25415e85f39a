/** The lines `--! Name: value` at the top of a committed migration. */
export interface Headers {
  readonly values: ReadonlyMap<string, string | null>
  /** How many lines they take. */
  readonly lineCount: number
  /** The name of a header that is given twice. */
  readonly repeated: string | undefined
}

const MAX_LINES = 100

/** Reads the headers up to the first line that is not one. */
export function readHeaders(text: string): Headers {
  const values = new Map<string, string | null>()
  let lineCount = 0
  let repeated: string | undefined
  for (const line of text.split('\n', MAX_LINES)) {
    const [, name, value] = /^--! ([A-Z][a-zA-Z0-9_]*)(?::(.*))?$/.exec(line) ?? []
    if (name === undefined) break
    if (values.has(name)) repeated = name
    values.set(name, value?.trim() ?? null)
    lineCount++
  }
  return { values, lineCount, repeated }
}
