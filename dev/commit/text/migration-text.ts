import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isOutsideTransaction } from '../../../src/migrations/files/ignored-header.ts'
import { replacePlaceholders } from '../../../src/migrations/tool/location.ts'
import { visitStatements } from '../../../src/migrations/tool/statements.ts'
import { compile, type Texts } from '../../loop/fixtures.ts'
import { findPlace, type Place } from '../../loop/locate.ts'
import { loadParser, type Parser } from './parser.ts'
import type { Tree } from './tree.ts'

/** The uncommitted migration, as it will be committed. */
export interface MigrationText {
  /** With fixtures in the place of their includes, and without placeholders. */
  readonly sql: string
  /** The same with placeholders: what the committed file has. */
  readonly compiled: string
  readonly statements: readonly ParsedStatement[]
  readonly parser: Parser
  readonly noTransaction: boolean
  /** Finds where an offset of `sql` was written. */
  placeAt(offset: number): Place | undefined
}

export interface ParsedStatement {
  /** In `sql`, in UTF-16 units; without its semicolon. */
  readonly start: number
  readonly end: number
  readonly text: string
  /** Undefined if the parser does not know the syntax: PostgreSQL has the last word. */
  readonly tree: Tree | undefined
}

export interface TextSources {
  readonly migrationsDir: string
  readonly fixtures: Texts
  readonly placeholders: Readonly<Record<string, string>>
}

/** Reads the uncommitted migration and parses its statements with PostgreSQL's own grammar. */
export async function readMigrationText(sources: TextSources): Promise<MigrationText> {
  const parser = await loadParser()
  const { migrationsDir, fixtures, placeholders } = sources
  const compiled = compileCurrent(migrationsDir, fixtures)
  const sql = replacePlaceholders(compiled, placeholders)
  const statements: ParsedStatement[] = []
  visitStatements(sql, ({ start, end }) => {
    const text = sql.slice(start, end).replace(/;\s*$/, '')
    statements.push({ start, end: start + text.length, text, tree: parser.parse(text) })
    return false
  })
  return {
    sql,
    compiled,
    statements,
    parser,
    noTransaction: isOutsideTransaction(sql),
    placeAt: (offset) =>
      findPlace(
        { sent: sql, position: String([...sql.slice(0, offset)].length + 1), completed: 0 },
        { migrationsDir, placeholders },
      ),
  }
}

/** The text of current.sql, or of the files of `current/` as graphile-migrate joins them. */
export function compileCurrent(migrationsDir: string, fixtures: Texts): string {
  const folder = join(migrationsDir, 'current')
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    return compile(readFileSync(join(migrationsDir, 'current.sql'), 'utf8'), fixtures)
  }
  const names = readdirSync(folder).filter((name) => /^[^.].*\.sql$/.test(name))
  return names
    .sort((one, other) => Number.parseInt(one, 10) - Number.parseInt(other, 10))
    .map((name) => {
      const text = compile(readFileSync(join(folder, name), 'utf8'), fixtures)
      return `--! split: ${name}\n${text.replace(/^(?:--! [A-Z]\w*(?::.*)?\n)*/, '').trim()}\n`
    })
    .join('\n')
}

/** Converts an offset in bytes of a statement, as the parser counts, into an offset in the migration. */
export function offsetOf(statement: ParsedStatement, bytes: number): number {
  return statement.start + Buffer.from(statement.text).subarray(0, bytes).toString().length
}
