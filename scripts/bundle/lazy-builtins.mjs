import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/**
 * Modules of Node.js that take a millisecond or more to load, and that packages require at once for
 * what a start does not do: an HTTP/2 server, a worker for the log, a child process.
 */
const LAZY = [
  ...['child_process', 'fs/promises', 'http2', 'https', 'perf_hooks', 'tls', 'worker_threads'],
]

/** Loads these modules of Node.js when one of their exports is first used. */
export const lazyBuiltinsPlugin = {
  name: 'lazy-builtins',
  setup(build) {
    const filter = new RegExp(`^(?:node:)?(?:${LAZY.join('|')})$`)
    build.onResolve({ filter }, ({ path, namespace }) =>
      namespace === 'lazy-builtin'
        ? { path, external: true }
        : { path: path.replace('node:', ''), namespace: 'lazy-builtin' },
    )
    build.onLoad({ filter, namespace: 'lazy-builtin' }, ({ path }) => ({
      contents: Object.keys(require(path))
        .map((name) => `get ${name}() { return require('node:${path}').${name} },`)
        .reduce((text, getter) => `${text}  ${getter}\n`, 'module.exports = {\n')
        .concat('}\n'),
      loader: 'js',
    }))
  },
}
