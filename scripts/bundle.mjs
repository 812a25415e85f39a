// Bundles what runs in production into one flat folder: no node_modules to copy, load or patch. The
// image's folder and dist/app, which `npm start` runs, are the same.
//
//   node scripts/bundle.mjs FOLDER
import { copyFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { writeApiDocs } from './api-docs.mjs'
import { writeCodeCache } from './bundle/code-cache.mjs'
import { writeInspected } from './bundle/inspected.mjs'
import { latePackagesPlugin, writeLatePackages } from './bundle/late-packages.mjs'
import { lazyModulesPlugin } from './bundle/lazy-modules.mjs'
import { writeLicenses } from './bundle/licenses.mjs'
import { pgCryptoPlugin } from './bundle/pg-crypto.mjs'
import { schemasPlugin } from './schemas.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Bundles are ES modules before they are bundled, and CommonJS after: the code cache is for scripts. */
const options = {
  absWorkingDir: root,
  bundle: true,
  metafile: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // Late imports, too, are of modules in the bundle or of Node.js.
  supported: { 'dynamic-import': false },
  // Optional native bindings of pg, which nothing here uses.
  external: ['pg-native', './load.js'],
  logLevel: 'warning',
}

/** Names are kept, and lines are short, so that stack traces can be read. */
const readable = { ...options, minifyWhitespace: true, lineLimit: 120 }

const loaded = {
  ...readable,
  entryPoints: { service: 'src/bin/run-service.ts' },
  plugins: [schemasPlugin, latePackagesPlugin, lazyModulesPlugin, pgCryptoPlugin],
  define: {
    'import.meta.url': 'moduleUrl',
    'import.meta.dirname': '__dirname',
    // pg asks whether it runs in a Cloudflare Worker: without a navigator, as in Node.js 20, by a
    // Response, and with it Node.js loads its whole fetch.
    navigator: 'navigatorOfNode',
  },
  // The function that Node.js would wrap around a module, here already in the file: see load.cjs.
  banner: {
    js:
      '(function (exports, require, module, __filename, __dirname) {\n' +
      "const moduleUrl = require('node:url').pathToFileURL(__filename).href;\n" +
      "const navigatorOfNode = { userAgent: 'Node.js' };",
  },
  footer: { js: '})' },
}

/** The small programs that run the others. */
const started = {
  ...options,
  entryPoints: {
    server: 'src/bin/server.ts',
    'migrate-once': 'src/bin/migrate-once.ts',
    healthcheck: 'src/bin/healthcheck.ts',
  },
  plugins: [
    {
      name: 'load-service',
      setup({ onResolve, onLoad }) {
        const namespace = 'load-service'
        onResolve({ filter: /[\\/]run-service\.ts$/ }, ({ path }) => ({ path, namespace }))
        onLoad({ filter: /()/, namespace }, () => ({
          contents: "module.exports = require('./load.js')('service')",
        }))
      },
    },
  ],
}

/** Writes the bundle into a folder, and returns what esbuild says about it. */
export async function bundle(outdir) {
  const { metafile } = await build({ ...loaded, outdir })
  Object.assign(metafile.inputs, await writeLatePackages(readable, outdir))
  const small = await build({ ...started, outdir })
  const modules = [metafile, small.metafile].flatMap(({ inputs }) => Object.keys(inputs))
  writeLicenses(root, outdir, modules)
  copyFileSync(join(root, 'scripts', 'bundle', 'load.cjs'), join(outdir, 'load.js'))
  // Read at run time, from beside the module that uses it.
  copyFileSync(join(root, 'src', 'baseline', 'store.sql'), join(outdir, 'store.sql'))
  await writeInspected(outdir)
  // The package around it may say that files are ES modules.
  writeFileSync(join(outdir, 'package.json'), '{ "type": "commonjs" }\n')
  await writeCodeCache(outdir)
  return metafile
}

if (resolve(process.argv[1] ?? '') === fileURLToPath(import.meta.url)) {
  const [, , folder] = process.argv
  if (folder === undefined) throw new Error('usage: node scripts/bundle.mjs FOLDER')
  await bundle(resolve(folder))
  writeApiDocs(root, join(resolve(folder), 'api-docs'))
}
