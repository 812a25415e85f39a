// PostgreSQL 18 on a file system whose files can share blocks: a copy of a template costs no disk.
import { execFileSync } from 'node:child_process'
import { statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createMigrationsFolder } from '../../support/migrations-folder.ts'
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
    const usedMb = () => {
      const { blocks, bfree, bsize } = statfsSync(mount)
      return ((blocks - bfree) * bsize) / 2 ** 20
    }
    const before = usedMb()
    const migrations = createMigrationsFolder(scope, [
      `create table public.large (text text);
       alter table public.large alter text set storage plain;
       insert into public.large select repeat('x', 7000) from generate_series(1, ${ROWS_MB * 128});`,
    ])

    const service = await startLending(world, { MIGRATIONS_DIR: migrations })
    await service.waitForCounts({ ready: SPARE })

    const databases = (usedMb() - before) / ROWS_MB
    t.comment(`${databases.toFixed(1)} times ${ROWS_MB} MB`)
    // The one of DATABASE_URL, the template, and the first copy, which tries the other way.
    t.ok(databases < 3.7, `${2 + SPARE} databases take the place of three`)
    t.match(await service.stop(), { code: 0 })
  })
})

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
