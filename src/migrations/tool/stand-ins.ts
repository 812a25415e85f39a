import fs from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { createMigrationParser } from '../files/migration.ts'
import { PIECE_BYTES, readPieces } from '../files/pieces.ts'
import type { LargeMigration } from './tool-pool.ts'

/**
 * Lets graphile-migrate read, in place of each large file, one that has the same headers and no text: it
 * holds all files in memory at once, several times over. Its check of the hash is done here.
 */
export function replaceLargeFiles(migrationsFolder: string): ReadonlyMap<string, LargeMigration> {
  const largeFiles = new Map<string, LargeMigration>()
  const { readFile } = fs.promises
  const committed = resolve(migrationsFolder, 'committed')
  const read = async (path: string, ...options: []): Promise<unknown> => {
    const isCommitted = typeof path === 'string' && resolve(dirname(path)) === committed
    if (!isCommitted || (await fs.promises.stat(path)).size < PIECE_BYTES) {
      return readFile(path, ...options)
    }
    // The space for new objects would grow to 48 MB, for strings that are soon gone. As an argument of the
    // process, a flag of V8 would cost each start the compiled code of Node.js's own modules.
    setFlagsFromString('--semi-space-growth-factor=1')
    const parser = createMigrationParser(path)
    for await (const piece of readPieces(path)) if (!parser.read(piece)) break
    const migration = parser.finish()
    if ('problem' in migration) throw new Error(`${basename(path)} ${migration.problem}`)
    const { hash, previousHash, noTransaction } = migration
    largeFiles.set(basename(path), migration)
    const lines = [
      `--! Previous: ${previousHash ?? '-'}`,
      `--! Hash: ${hash}`,
      '--! AllowInvalidHash',
      '',
      ...(noTransaction ? ['--! no-transaction'] : []),
      '-- in place of the file',
    ]
    return lines.join('\n')
  }
  Object.assign(fs.promises, { readFile: read })
  return largeFiles
}

/**
 * Lets the tool sort `000001.sql` and `000002.sql` without the rules of a language, which Node.js takes 10 ms to load.
 * For such names the rules say the same as the codes of the characters.
 */
export function compareNumbersByCode(): void {
  const { localeCompare } = String.prototype
  Object.defineProperty(String.prototype, 'localeCompare', {
    value(this: string, other: string, ...rules: [string?, Intl.CollatorOptions?]) {
      if (!NUMBERED.test(this) || !NUMBERED.test(other)) {
        return localeCompare.call(this, other, ...rules)
      }
      return this < other ? -1 : Number(this > other)
    },
  })
}

const NUMBERED = /^[0-9]+\.sql$/
