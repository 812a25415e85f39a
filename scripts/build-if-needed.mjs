// Builds for `npm run dev`, if a source is newer than the build, and says so: a build takes some seconds.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
/** What the build reads. */
const SOURCES = ['src', 'client', 'testing', 'dev', 'scripts', 'package-lock.json', 'tsconfig.json']
const BUILT = join(root, 'dist', 'bundle.json')

if (!existsSync(BUILT) || findNewest() > statSync(BUILT).mtimeMs) {
  process.stdout.write('building: the sources are newer than the last build …\n')
  const startedAt = performance.now()
  await import('./build.mjs')
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  process.stdout.write(`built in ${seconds} s\n`)
}

function findNewest() {
  const files = SOURCES.flatMap((name) => {
    const path = join(root, name)
    if (!statSync(path).isDirectory()) return [path]
    return readdirSync(path, { recursive: true }).map((file) => join(path, file))
  })
  return Math.max(...files.map((file) => statSync(file).mtimeMs))
}
