// Writes migrations/committed/ again from what it says itself: each section between "--! Included x"
// and "--! EndIncluded x" becomes the present content of fixtures/x, and the hashes follow. Needs no
// database. Migrations that migrations/released.json lists stay as they are: a change is a new migration.
//
// Conflict markers of git are resolved where the content is generated: in the headers and inside
// included sections. Anywhere else the script stops, and names the line.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readReleased } from '../dev/released.ts'
import { calculateHash } from '../src/migrations/files/hash.ts'

const migrations = join(dirname(dirname(fileURLToPath(import.meta.url))), 'migrations')
const committed = join(migrations, 'committed')

const released = new Map(readReleased(migrations).map(({ filename, hash }) => [filename, hash]))

let previousHash: string | null = null
for (const filename of readdirSync(committed).sort()) {
  if (!filename.endsWith('.sql')) continue
  const releasedHash = released.get(filename)
  if (releasedHash !== undefined) {
    process.stdout.write(`released   ${filename}\n`)
    previousHash = releasedHash
    continue
  }
  const path = join(committed, filename)
  const before = readFileSync(path, 'utf8')
  const { message, body } = readMigration(before, filename)
  const amended = expandIncludes(body).trim()
  const hash = calculateHash(amended, previousHash)
  const headers = [
    `--! Previous: ${previousHash ?? '-'}`,
    `--! Hash: ${hash}`,
    ...(message === undefined ? [] : [`--! Message: ${message}`]),
  ]
  const after = `${headers.join('\n')}\n\n${amended}\n`
  if (after !== before) writeFileSync(path, after)
  process.stdout.write(`${after === before ? 'unchanged' : 'amended  '}  ${filename}\n`)
  previousHash = hash
}

/** The migration's message, and its text with each included section as the line that includes it. */
function readMigration(text: string, filename: string): { message?: string; body: string } {
  const [header = '', ...rest] = text.split('\n\n')
  const message = /^--! Message: (.+)$/m.exec(header)?.[1]
  const body = rest
    .join('\n\n')
    .replace(
      /^--! Included (?<file>\S+)$[\s\S]*?^--! EndIncluded \k<file>$/gm,
      (_section, file) => `--!include ${file}`,
    )
  const left = body.split('\n').find((line) => /^(<{7}|={7}|>{7})|^--! (End)?Included /.test(line))
  if (left !== undefined) {
    throw new Error(`${filename}: resolve this by hand, then run the script again: ${left}`)
  }
  return message === undefined ? { body } : { message, body }
}

/** As graphile-migrate expands them; a fixture may include others. */
function expandIncludes(text: string): string {
  return text.replace(/^--![ \t]*include[ \t]+(.*\.sql)[ \t]*$/gm, (_line, file) => {
    const content = expandIncludes(readFileSync(join(migrations, 'fixtures', file), 'utf8')).trim()
    return `--! Included ${file}\n${content}\n--! EndIncluded ${file}`
  })
}
