import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ServiceError } from '../../../src/errors/service-error.ts'
import { type FileChange, isSame, readIfExists } from './journal.ts'

/** How the files that describe the schema change. */
export interface SchemaChanges {
  readonly changes: readonly FileChange[]
  /** Why there are none, if they were not made. */
  readonly problem?: string
}

/**
 * Makes schema/, docs/schema/ and client/schema/ from a migrated database, and lists what differs from the files beside the
 * migrations folder.
 */
export async function listSchemaChanges(
  url: string,
  {
    migrationsDir,
    optionalSchema,
  }: {
    readonly migrationsDir: string
    readonly optionalSchema: { readonly wanted: string | undefined }
  },
): Promise<SchemaChanges> {
  const root = dirname(migrationsDir)
  if (!existsSync(join(root, 'schema'))) {
    return { changes: [], problem: `there is no folder schema/ beside ${migrationsDir}` }
  }
  if (optionalSchema.wanted === 'off') {
    return {
      changes: [],
      problem: 'E2E_SCHEMA=off leaves objects out: run npm run db:schema without it',
    }
  }
  // It imports kanel, which nothing else needs.
  const { FOLDERS, generateSchema } = await import('../../../scripts/schema/generate.ts')
  const files = await generateSchema(url, root).catch((error: Error) => {
    throw new ServiceError(
      'migration_command_failed',
      `schema/, docs/schema/ and client/schema/ could not be made from the shadow database: ${error.message}; ` +
        'see scripts/schema/. No file was changed',
    )
  })
  const present = FOLDERS.flatMap((folder) => listFiles(root, folder))
  const changes = [...new Set([...present, ...files.keys()])].sort().flatMap((path) => {
    const text = files.get(path)
    const before = readIfExists(join(root, path))
    const after = text === undefined ? undefined : Buffer.from(text)
    return isSame(before, after) ? [] : [{ path, before, after }]
  })
  return { changes }
}

function listFiles(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
}
