// Beside the modules of testing/ that a project imports, the same as CommonJS: Jest, and Playwright in a
// CommonJS project, load nothing else.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const ENTRIES = ['testing', 'node', 'tap', 'jest', 'vitest', 'playwright', 'global-setup']

/** Adds `.cjs` and `.d.cts` files to the compiled `testing/` below `dist`. */
export async function addCommonJs(root, dist) {
  const folder = join(dist, 'testing')
  await build({
    absWorkingDir: root,
    entryPoints: ENTRIES.map((name) => join('testing', `${name}.ts`)),
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    define: { 'import.meta.dirname': '__dirname' },
    logLevel: 'warning',
  })
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.d.ts'))) {
    const types = readFileSync(join(folder, name), 'utf8')
    const path = join(folder, name.replace(/\.d\.ts$/, '.d.cts'))
    writeFileSync(path, types.replace(/(from '\.\/[^']+)\.(?:js|ts)'/g, "$1.cjs'"))
  }
}
