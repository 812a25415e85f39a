// Inspects our migrations, as the tool sends them, so that no start has to: a new process takes 10 ms
// to read 3,000 lines of SQL. In the image they are a layer of their own, and so is this:
//
//   node scripts/bundle/inspected.mjs FOLDER
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { tsImport } from 'tsx/esm/api'

const root = dirname(dirname(import.meta.dirname))

/** The placeholder of our migrations, and all of its values. */
const PLACEHOLDER = ':E2E_SCHEMA'
const VALUES = ['on', 'off']

const importSource = (path) =>
  tsImport(pathToFileURL(join(root, 'src', 'migrations', path)).href, import.meta.url)

/** Writes `inspected.json` into the folder of a bundle; nothing where the migrations are not there. */
export async function writeInspected(folder) {
  const file = join(folder, 'inspected.json')
  rmSync(file, { force: true })
  const migrationsDir = join(root, 'migrations')
  if (!existsSync(join(migrationsDir, 'committed'))) return
  try {
    writeFileSync(file, `${JSON.stringify(await inspectMigrations(migrationsDir), null, 2)}\n`)
  } catch (error) {
    // A start reports it, too.
    console.warn(`migrations were not inspected, so starts will be slower: ${error.message}`)
  }
}

async function inspectMigrations(migrationsDir) {
  const { readCommittedMigrations } = await importSource('files/committed.ts')
  const { inspectAhead } = await importSource('tool/inspection.ts')
  const { replacePlaceholders } = await importSource('tool/location.ts')
  return (await readCommittedMigrations(migrationsDir))
    .flatMap(({ body = '', noTransaction }) => {
      const texts = VALUES.map((value) => replacePlaceholders(body, { [PLACEHOLDER]: value }))
      return [...new Set(texts)].map((text) => inspectAhead(text, noTransaction))
    })
    .filter((text) => text !== undefined)
}

if (resolve(process.argv[1] ?? '') === fileURLToPath(import.meta.url)) {
  const [, , folder] = process.argv
  if (folder === undefined) throw new Error('usage: node scripts/bundle/inspected.mjs FOLDER')
  await writeInspected(resolve(folder))
}
