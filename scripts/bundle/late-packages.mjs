import { join } from 'node:path'
import { build } from 'esbuild'

/**
 * Packages that no start uses, each group in a file of its own, `late-NAME.js`. In the service's file a start would read
 * them, and load their functions from the code cache: together they are nearly half of all code.
 */
const GROUPS = {
  ajv: ['ajv'],
  // Used where an app has no compilers of its own, or where requests are injected.
  fastify: [
    ...['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler', 'light-my-request'],
  ],
  opentelemetry: [
    ...['api', 'exporter-trace-otlp-http', 'resources', 'sdk-trace'].map(
      (name) => `@opentelemetry/${name}`,
    ),
  ],
  pretty: ['pino-pretty'],
  prometheus: ['prom-client'],
}

const fileOf = (group) => `./late-${group}.js`

/** Has the service require these packages from their files. */
export const latePackagesPlugin = {
  name: 'late-packages',
  setup({ onResolve, onLoad }) {
    const namespace = 'late'
    const names = Object.values(GROUPS).flat()
    onResolve({ filter: new RegExp(`^(?:${names.join('|')})$`) }, ({ path }) => ({
      ...{ path, namespace },
    }))
    onResolve({ filter: /^\.\/late-/, namespace }, ({ path }) => ({ path, external: true }))
    onLoad({ filter: /()/, namespace }, ({ path }) => {
      const [group] = Object.entries(GROUPS).find(([, packages]) => packages.includes(path))
      return { contents: `module.exports = require('${fileOf(group)}')['${path}']` }
    })
  },
}

/** Writes the files into the folder of a bundle, and returns esbuild's list of what is in them. */
export async function writeLatePackages(options, outdir) {
  const inputs = {}
  for (const [group, packages] of Object.entries(GROUPS)) {
    const getters = packages.map((name) => `  get '${name}'() { return require('${name}') },\n`)
    const { metafile } = await build({
      ...options,
      stdin: {
        contents: `module.exports = {\n${getters.join('')}}\n`,
        resolveDir: options.absWorkingDir,
        sourcefile: fileOf(group),
      },
      outfile: join(outdir, fileOf(group)),
    })
    Object.assign(inputs, metafile.inputs)
  }
  return inputs
}
