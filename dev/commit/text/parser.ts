import type { Tree } from './tree.ts'

/** PostgreSQL's own grammar, from the library libpg-query. */
export interface Parser {
  /** Parses statements; undefined if it cannot, and PostgreSQL has the last word. */
  parse(sql: string): Tree | undefined
  /** Parses the body of a `create function` in PL/pgSQL; undefined if it cannot. */
  parseBody(sql: string): Tree | undefined
}

/** Loads the parser, which takes a twentieth of a second. */
export async function loadParser(): Promise<Parser> {
  const { loadModule, parseSync, parsePlPgSQLSync } = await import('libpg-query')
  await loadModule()
  const attempt =
    (parse: (sql: string) => Tree): ((sql: string) => Tree | undefined) =>
    (sql) => {
      try {
        return parse(sql)
      } catch {
        return undefined
      }
    }
  return {
    parse: attempt((sql) => parseSync(sql).stmts),
    parseBody: attempt((sql) => parsePlPgSQLSync(sql)),
  }
}
