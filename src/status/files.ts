import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isCurrentEmpty, listCurrent } from '../migrations/files/current.ts'
import { readHeaders } from '../migrations/files/headers.ts'
import { splitFilename } from '../migrations/files/migration.ts'

/** What the status shows of a committed file; without a hash, the file is not as it should be. */
export interface FileFacts {
  readonly filename: string
  readonly slug: string | null
  readonly recordedAs: string
  readonly message: string | null
  readonly hash: string | undefined
}

export interface FolderFacts {
  readonly files: readonly FileFacts[]
  readonly currentEmpty: boolean
  /** Whether `current.sql`, or a file in `current/`, exists: outside of development it usually does not. */
  readonly hasCurrent: boolean
}

/** More than the headers of any file take. */
const HEADER_BYTES = 16_384

/**
 * Creates a reader of the migrations folder. It reads the headers of a file once, and again only when
 * the file has changed; the hash that it shows is the one in the header. It looks for changes at most
 * once in as many milliseconds as there are files, so its cost does not grow with them.
 */
export function createFolderReader(migrationsDir: string): () => Promise<FolderFacts> {
  const folder = join(migrationsDir, 'committed')
  let known = new Map<string, { version: string; facts: FileFacts }>()
  let current = { version: '', isEmpty: true, exists: false }
  let checkedAt = Number.NEGATIVE_INFINITY
  let checking: Promise<void> | undefined

  async function check(): Promise<void> {
    const found: typeof known = new Map()
    // A folder that cannot be read counts as empty; the state's detail names it.
    for (const filename of (await readdir(folder).catch(() => [])).sort()) {
      const { digits, slug = null } = splitFilename(filename) ?? {}
      if (digits === undefined) continue
      const path = join(folder, filename)
      const version = await readVersion(path)
      const before = known.get(filename)
      if (before?.version === version) found.set(filename, before)
      else {
        const headers = await readFileHeaders(path)
        const facts = { filename, slug, recordedAs: `${digits}.sql`, ...headers }
        found.set(filename, { version, facts })
      }
    }
    const version = await readCurrentVersion(migrationsDir)
    if (version !== current.version) {
      const exists = listCurrent(migrationsDir).length > 0
      current = { version, isEmpty: isCurrentEmpty(migrationsDir), exists }
    }
    known = found
    checkedAt = performance.now()
  }

  return async () => {
    if (performance.now() - checkedAt > known.size) {
      checking ??= check().finally(() => {
        checking = undefined
      })
      await checking
    }
    return {
      files: [...known.values()].map(({ facts }) => facts),
      currentEmpty: current.isEmpty,
      hasCurrent: current.exists,
    }
  }
}

async function readVersion(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found?.isFile() ? [found.mtimeNs, found.ctimeNs, found.size, found.ino].join() : ''
}

async function readCurrentVersion(migrationsDir: string): Promise<string> {
  const names = await readdir(join(migrationsDir, 'current')).catch(() => [])
  const paths = ['current.sql', ...names.map((name) => join('current', name))]
  const versions = await Promise.all(paths.map((path) => readVersion(join(migrationsDir, path))))
  return JSON.stringify([paths, versions])
}

async function readFileHeaders(path: string): Promise<Pick<FileFacts, 'message' | 'hash'>> {
  const file = await open(path).catch(() => undefined)
  try {
    const { buffer, bytesRead } = (await file?.read(Buffer.alloc(HEADER_BYTES))) ?? {}
    const { values } = readHeaders(buffer?.toString('utf8', 0, bytesRead) ?? '')
    return { message: values.get('Message') || null, hash: values.get('Hash') ?? undefined }
  } catch {
    return { message: null, hash: undefined }
  } finally {
    await file?.close()
  }
}
