import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readSchemaOverview } from '../../src/catalog/overview.ts'
import { openClient } from '../../src/postgres/client.ts'
import { dumpSchema, type Files } from './dump.ts'
import { readObjects } from './objects.ts'
import { writePages } from './pages.ts'
import { readRoutines } from './routines.ts'
import { writeTypes } from './types.ts'

/** The folders that hold nothing but what is generated. */
export const FOLDERS = ['schema', 'docs/schema', 'client/schema']

/**
 * Makes, from the catalogue of a migrated database: the dump, the pages, and the types of the client. Pages link to what is
 * in the project's folder.
 */
export async function generateSchema(url: string, projectDir = process.cwd()): Promise<Files> {
  const client = await openClient(url, 'development')
  try {
    const objects = await readObjects(client)
    const overview = await readSchemaOverview(client)
    const routines = await readRoutines(client)
    return new Map([
      ...dumpSchema(objects),
      ...writePages({ objects, overview, routines, projectDir }),
      ...(await writeTypes(url, routines)),
    ])
  } finally {
    await client.end()
  }
}

/** Replaces what is in the folders by these files, so that those of dropped objects go. */
export function replaceFiles(projectDir: string, files: Files): void {
  for (const folder of FOLDERS) rmSync(join(projectDir, folder), { recursive: true, force: true })
  for (const [path, content] of files) {
    mkdirSync(dirname(join(projectDir, path)), { recursive: true })
    writeFileSync(join(projectDir, path), content)
  }
}
