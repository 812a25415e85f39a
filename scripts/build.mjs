// Compiles src/, client/ and dev/ into dist/. The new build is put into place by a rename, so that a
// service that is being started meanwhile sees either the old build or the new one.
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
const fresh = join(root, `.dist-${process.pid}`)
const old = join(root, `.dist-${process.pid}-old`)

try {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  execFileSync(process.execPath, [tsc, '--project', 'tsconfig.build.json', '--outDir', fresh], {
    cwd: root,
    stdio: 'inherit',
  })
  // Read at run time, from beside the module that uses it.
  const sql = join('src', 'baseline', 'store.sql')
  copyFileSync(join(root, sql), join(fresh, sql))
  if (existsSync(dist)) renameSync(dist, old)
  renameSync(fresh, dist)
} finally {
  rmSync(fresh, { recursive: true, force: true })
  rmSync(old, { recursive: true, force: true })
}
