import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Modules that take half a millisecond or more to load, and that are required at once for what a start does not
 * do: an HTTP/2 server, a worker for the log, a child process, assertions that hold, the addresses of proxies, the
 * versions of Fastify that plugins declare, the colours of errors, a flag of V8 for large files.
 */
const LAZY = {
  builtin: [
    ...['assert', 'child_process', 'dns', 'fs/promises', 'http2', 'https', 'module', 'perf_hooks'],
    ...['tls', 'v8', 'worker_threads', 'zlib'],
  ],
  package: ['@fastify/proxy-addr', 'chalk', 'semver'],
}

/** An assertion that holds loads nothing. */
const TARGETS = {
  assert: '(isTrue, ...rest) => { if (!isTrue) load()(isTrue, ...rest) }',
}

/** Modules that keep their names in a prototype, so that they cannot be listed. Asked by TypeScript's helpers, they are CommonJS. */
const WITHOUT_NAMES = ['chalk']

/** Loads these modules when one of their exports is first used. */
export const lazyModulesPlugin = {
  name: 'lazy-modules',
  setup(build) {
    const filter = new RegExp(
      `^(?:(?:node:)?(?:${LAZY.builtin.join('|')})|${LAZY.package.join('|')})$`,
    )
    build.onResolve({ filter }, ({ path, namespace }) => {
      if (namespace !== 'lazy') return { path: path.replace('node:', ''), namespace: 'lazy' }
      return LAZY.builtin.includes(path.replace('node:', '')) ? { path, external: true } : undefined
    })
    build.onLoad({ filter, namespace: 'lazy' }, ({ path }) => {
      const real = LAZY.builtin.includes(path) ? `node:${path}` : path
      if (WITHOUT_NAMES.includes(path)) return { contents: proxyOf(path), resolveDir: root }
      const getters = Object.keys(require(path))
        .map((name) => `  ${name}: { enumerable: true, get: () => load().${name} },\n`)
        .join('')
      const called = TARGETS[path] ?? '(...args) => load()(...args)'
      const target = typeof require(path) === 'function' ? called : '{}'
      return {
        contents: [
          `const load = () => require('${real}')`,
          `module.exports = Object.defineProperties(${target}, {\n${getters}})\n`,
        ].join('\n'),
        loader: 'js',
        resolveDir: root,
      }
    })
  },
}

function proxyOf(path) {
  const get = `(_, name) => (name === '__esModule' ? undefined : require('${path}')[name])`
  return `module.exports = new Proxy({}, { get: ${get} })\n`
}
