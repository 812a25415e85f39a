// The schemas of src/http/schemas are written with TypeBox and run without it: loading it would cost a
// start more than Fastify does. The build replaces each module by the JSON Schemas that it evaluates to.
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { tsImport } from 'tsx/esm/api'

const FOLDER = join('src', 'http', 'schemas')

/** Of a route's schema the service uses what validates bodies; the rest is for the description. */
function toRunTime(value) {
  return value?.response === undefined ? value : { body: value.body }
}

/** Returns a module with the same exports as a TypeScript module of schemas, its functions left out. */
async function evaluate(file) {
  const exported = await tsImport(pathToFileURL(file).href, import.meta.url)
  return Object.entries(exported)
    .filter(([, value]) => typeof value !== 'function')
    .map(([name, value]) => `export const ${name} = ${JSON.stringify(toRunTime(value))}\n`)
    .join('')
}

/** Replaces the compiled schema modules below `dist`. */
export async function replaceSchemas(root, dist) {
  for (const name of readdirSync(join(root, FOLDER))) {
    const text = await evaluate(join(root, FOLDER, name))
    writeFileSync(join(dist, FOLDER, name.replace(/\.ts$/, '.js')), text)
  }
}

/** Does the same in a bundle. */
export const schemasPlugin = {
  name: 'schemas',
  setup(build) {
    build.onLoad(
      { filter: /[\\/]src[\\/]http[\\/]schemas[\\/][^\\/]+\.ts$/ },
      async ({ path }) => ({
        contents: await evaluate(path),
        loader: 'js',
      }),
    )
  },
}
