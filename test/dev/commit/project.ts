import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { assertCommittable } from '../../../dev/commit/refuse.ts'
import { loadConfig } from '../../../src/config/config.ts'
import { ServiceError } from '../../../src/errors/service-error.ts'
import { createFolder } from '../../support/migrations-folder.ts'
import { projectDir } from '../../support/server.ts'
import type { RefusedCase } from './cases.ts'

/** Creates a copy of the migrations with an uncommitted change, and returns the folder. */
export function createChange(
  t: Parameters<typeof createFolder>[0],
  { sql, fixture, deleted }: Omit<RefusedCase, 'rule'>,
): string {
  const dir = createFolder(t)
  const migrationsDir = join(dir, 'migrations')
  cpSync(join(projectDir, 'migrations'), migrationsDir, { recursive: true })
  for (const file of ['.gmrc', '.squawk.toml']) cpSync(join(projectDir, file), join(dir, file))
  writeFileSync(join(migrationsDir, 'current.sql'), sql)
  if (fixture !== undefined) {
    const path = join(migrationsDir, 'fixtures', fixture.path)
    const text = readFileSync(path, 'utf8')
    if (!text.includes(fixture.from)) throw new Error(`${fixture.path} has no ${fixture.from}`)
    writeFileSync(path, text.replace(fixture.from, fixture.to))
  }
  if (deleted !== undefined) rmSync(join(migrationsDir, 'fixtures', deleted))
  return migrationsDir
}

export interface Refusal {
  /** What the commit would print; empty if it refuses nothing. */
  readonly text: string
  readonly code: string
  /** The rules that refused it, each once, in their order. */
  readonly rules: readonly string[]
}

/** Tries a change in a migrated database, which is changed, and returns what a commit says about it. */
export async function tryChange(
  migrationsDir: string,
  shadowUrl: string,
  allowed: readonly string[] = [],
): Promise<Refusal> {
  const config = loadConfig({ MIGRATIONS_DIR: migrationsDir, DATABASE_URL: shadowUrl })
  const database = {
    ...{ url: shadowUrl, shadowUrl, rootUrl: shadowUrl, name: 'shadow' },
    close: async () => {},
  }
  const run = { config, database, signal: new AbortController().signal }
  try {
    const options = { message: 'Try it', allowed: new Set(allowed) }
    await assertCommittable(run, { shadowUrl, rootUrl: shadowUrl }, options)
    return { text: '', code: '', rules: [] }
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    const text = error.message.replaceAll(relative('', migrationsDir), 'migrations')
    const rules = [...text.matchAll(/ \(([\w/-]+)\)$/gm)].map(([, rule = '']) => rule)
    return { text, code: error.code, rules: [...new Set(rules)] }
  }
}
