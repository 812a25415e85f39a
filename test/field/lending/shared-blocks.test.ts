// PostgreSQL 18 on a file system whose files can share blocks: a copy of a template costs no disk.
import { execFileSync } from 'node:child_process'
import { lstatSync, readdirSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createMigrationsFolder } from '../../support/migrations-folder.ts'
import { until } from '../../support/until.ts'
import { moveToDisk } from '../faults/faults.ts'
import { withScope } from '../faults/scope.ts'
import { createTemplate } from '../faults/server.ts'
import { openWorld, PASSWORD } from '../faults/world.ts'
import { SPARE, startLending } from './situations.ts'

/** Beside these, PostgreSQL's own files in a database are small. */
const ROWS_MB = 100
const DISK_BYTES = 2 ** 31

test('copies share the blocks of their template where the file system can', async (t) => {
  await withScope(async (scope) => {
    const template = await createTemplate(scope, PASSWORD)
    const world = await openWorld(scope, template)
    const problem = findProblem(world.server.folder)
    if (problem !== undefined) {
      t.pass('skipped', { skip: `NOT TESTED: ${problem}` })
      return
    }
    const mount = await moveToDisk(world, (folder) => mountSharing(world.server.folder, folder))
    const emptyMb = usedMb(mount) - allocatedMb(mount)
    const migrations = createMigrationsFolder(scope, [
      `create table public.large (text text);
       alter table public.large alter text set storage plain;
       insert into public.large select repeat('x', 7000) from generate_series(1, ${ROWS_MB * 128});`,
    ])

    const service = await startLending(world, { MIGRATIONS_DIR: migrations })
    await service.waitForCounts({ ready: SPARE })

    const sharedMb = () => allocatedMb(mount) - (usedMb(mount) - emptyMb)
    // Files may be written to between the two sums.
    await until('files share the blocks of the rows', () => sharedMb() > 0.9 * ROWS_MB)
    // The first copy is made the other way, and those after the second the way that was faster.
    t.comment(`${(sharedMb() / ROWS_MB).toFixed(1)} of ${SPARE} copies share their ${ROWS_MB} MB`)
    t.match(await service.stop(), { code: 0 })
  })
})

/** What the files take, where each counts all of its blocks. */
function allocatedMb(mount: string): number {
  const paths = readdirSync(mount, { recursive: true, encoding: 'utf8' })
  const blocks = paths.map(
    (path) => lstatSync(join(mount, path), { throwIfNoEntry: false })?.blocks,
  )
  return blocks.reduce<number>((sum, count = 0) => sum + count * 512, 0) / 2 ** 20
}

/** What they take together. */
function usedMb(mount: string): number {
  const { blocks, bfree, bsize } = statfsSync(mount)
  return ((blocks - bfree) * bsize) / 2 ** 20
}

function findProblem(folder: string): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return 'only root can mount a file system'
  }
  try {
    const mount = join(folder, 'probe')
    execFileSync('mkdir', [mount])
    mountSharing(folder, mount)
    execFileSync('umount', [mount])
    return undefined
  } catch (error) {
    return `no XFS could be made (xfsprogs) and mounted: ${(error as Error).message.split('\n')[0]}`
  }
}

/** Makes a file system with reflinks, in a file that takes no more room than is used. */
function mountSharing(folder: string, mount: string): void {
  const image = join(folder, 'xfs')
  writeFileSync(image, '')
  truncateSync(image, DISK_BYTES)
  execFileSync('mkfs.xfs', ['-q', '-f', '-m', 'reflink=1', image], { stdio: 'pipe' })
  execFileSync('mount', ['-o', 'loop', image, mount], { stdio: 'pipe' })
}
