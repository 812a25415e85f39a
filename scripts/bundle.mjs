// Bundles what the image runs into one flat folder: no node_modules to copy, load or patch.
//
//   node scripts/bundle.mjs FOLDER
//
// Flat, because the service finds its migration worker beside itself.
import { copyFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { writeApiDocs } from './api-docs.mjs'
import { schemasPlugin } from './schemas.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [, , folder] = process.argv
if (folder === undefined) throw new Error('usage: node scripts/bundle.mjs FOLDER')
const outdir = resolve(folder)

await build({
  absWorkingDir: root,
  entryPoints: {
    server: 'src/bin/server.ts',
    child: 'src/migrations/tool/child.ts',
    healthcheck: 'src/bin/healthcheck.ts',
    'migrate-once': 'src/bin/migrate-once.ts',
  },
  outdir,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  // Keeps what is imported late out of the files that are read at start.
  splitting: true,
  chunkNames: '[name]-[hash]',
  // Optional native bindings of pg, which nothing here uses.
  external: ['pg-native'],
  plugins: [schemasPlugin],
  // CommonJS dependencies ask for Node's own modules by `require`, which an ES module lacks.
  banner: {
    js: "import { createRequire as from } from 'node:module'; const require = from(import.meta.url);",
  },
  logLevel: 'warning',
})

// Read at run time, from beside the module that uses it.
copyFileSync(join(root, 'src', 'baseline', 'store.sql'), join(outdir, 'store.sql'))

writeApiDocs(root, join(outdir, 'api-docs'))

// Says that the files are ES modules.
writeFileSync(join(outdir, 'package.json'), '{ "type": "module" }\n')
