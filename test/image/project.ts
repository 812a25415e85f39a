import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { projectDir } from '../support/server.ts'

/** What the build and the compose files read, so that a test may change a copy of it. */
const PARTS = [
  ...['.dockerignore', '.gmrc', '.npmrc', 'Dockerfile', 'package.json', 'package-lock.json'],
  ...['docker-compose.yml', 'docker-compose.e2e.yml', 'tsconfig.json'],
  ...['dev', 'examples', 'migrations', 'scripts', 'src'],
]

interface Teardown {
  teardown(work: () => unknown): unknown
}

/**
 * Copies the project to a folder that lives as long as the test. Nobody but the owner may read the
 * copy, as where it was cloned under a umask of 077: containers must not depend on that.
 */
export function copyProject(t: Teardown): string {
  const directory = mkdtempSync(join(tmpdir(), 'commandbus-image-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  for (const part of PARTS) {
    cpSync(join(projectDir, part), join(directory, part), { recursive: true })
  }
  execFileSync('chmod', ['-R', 'go=', directory])
  return directory
}

/** Adds a migration as `graphile-migrate commit` does; returns its file name. */
export function addMigration(directory: string, slug: string, body: string): string {
  const committed = join(directory, 'migrations', 'committed')
  const files = readdirSync(committed).filter((file) => file.endsWith('.sql'))
  const last = files.sort().at(-1)
  const previous =
    last && /^--! Hash: (\S+)$/m.exec(readFileSync(join(committed, last), 'utf8'))?.[1]
  const hash = createHash('sha1').update(`${`${previous ?? ''}\n${body.trim()}`.trim()}\n`)
  const filename = `${String(files.length + 1).padStart(6, '0')}-${slug}.sql`
  writeFileSync(
    join(committed, filename),
    `--! Previous: ${previous ?? '-'}\n--! Hash: sha1:${hash.digest('hex')}\n\n${body.trim()}\n`,
  )
  return filename
}
