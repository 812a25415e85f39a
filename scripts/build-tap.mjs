// Builds tap with the plugins that .taprc names, unless it is. By itself tap does so only while it is
// running, with the plugins that it had before.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const built = join(root, 'node_modules/@tapjs/test/test-built/dist/esm/index.js')

if (readFileSync(built, 'utf8').includes('@tapjs/typescript')) {
  execFileSync(join(root, 'node_modules/.bin/tap'), ['build'], { cwd: root, stdio: 'inherit' })
}
