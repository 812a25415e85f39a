import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readHeaders } from '../../../src/migrations/files/headers.ts'
import { offsetOfLine } from '../../../src/migrations/files/lines.ts'

/** Headers that a commit writes. */
const WRITTEN = ['Hash', 'Previous', 'AllowInvalidHash']

/**
 * Moves a committed migration back to `current.sql`, or to the files of `current/` that it was made of, in one folder and without
 * a database, as graphile-migrate's uncommit does. Returns its hash.
 */
export function takeBack(migrationsDir: string, filename: string): string {
  const path = join(migrationsDir, 'committed', filename)
  const text = readFileSync(path, 'utf8')
  const { values, lineCount } = readHeaders(text)
  const body = text
    .slice(offsetOfLine(text, lineCount))
    .trim()
    .replace(
      /^--! Included (?<file>\S+)$[\s\S]*?^--! EndIncluded \k<file>$/gm,
      (_section, file) => `--!include ${file}`,
    )
  const isEmptyMessage = (name: string, value: string | null) => name === 'Message' && !value
  const kept = [...values].filter(
    ([name, value]) => !WRITTEN.includes(name) && !isEmptyMessage(name, value),
  )
  const headers = kept.map(([name, value]) => `--! ${name}${value === null ? '' : `: ${value}`}\n`)
  writeCurrent(migrationsDir, headers.length === 0 ? '' : `${headers.join('')}\n`, `${body}\n`)
  rmSync(path)
  return values.get('Hash') ?? ''
}

function writeCurrent(migrationsDir: string, headers: string, body: string): void {
  const folder = join(migrationsDir, 'current')
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    writeFileSync(join(migrationsDir, 'current.sql'), headers + body)
    return
  }
  const [before = '', ...parts] = body.split(/^--! split: (.+)\n/m)
  const first = readdirSync(folder).sort()[0] ?? '001.sql'
  const files = parts.length === 0 ? [first, before] : parts
  for (let at = 0; at < files.length; at += 2) {
    writeFileSync(
      join(folder, files[at] ?? ''),
      `${at === 0 ? headers : ''}${files[at + 1]?.trim()}\n`,
    )
  }
}
