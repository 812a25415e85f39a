// Compiles src/, client/, testing/ and dev/ into dist/, with the API description beside the service, and
// bundles what `npm start` runs into dist/app. The new build is moved into place by a rename, so that a
// service that starts meanwhile gets the old one or the new.
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeApiDocs } from './api-docs.mjs'
import { bundle } from './bundle.mjs'
import { addCommonJs } from './commonjs.mjs'
import { replaceSchemas } from './schemas.mjs'

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
  await replaceSchemas(root, fresh)
  await addCommonJs(root, fresh)
  const apiDocs = join(fresh, 'src', 'api-docs')
  writeApiDocs(root, apiDocs)
  const metafile = await bundle(join(fresh, 'app'))
  cpSync(apiDocs, join(fresh, 'app', 'api-docs'), { recursive: true })
  // Which module imports which: a test reads from it what a start loads.
  writeFileSync(join(fresh, 'bundle.json'), JSON.stringify(metafile))
  if (existsSync(dist)) renameSync(dist, old)
  renameSync(fresh, dist)
} finally {
  rmSync(fresh, { recursive: true, force: true })
  rmSync(old, { recursive: true, force: true })
}
