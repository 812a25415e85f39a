import { fileURLToPath } from 'node:url'

/**
 * The functions that pg logs in with, by node:crypto. Its own use Web Crypto, so that they run in browsers, too;
 * Node.js loads that in four milliseconds, and runs each of seven steps of a login in another thread.
 */
export const pgCryptoPlugin = {
  name: 'pg-crypto',
  setup({ onResolve }) {
    const path = fileURLToPath(new URL('pg-crypto-utils.cjs', import.meta.url))
    onResolve({ filter: /^\.\/(crypto\/)?utils$/ }, ({ path: asked, importer }) =>
      /[\\/]pg[\\/]lib[\\/](client\.js|crypto[\\/]sasl\.js)$/.test(importer) &&
      (asked === './crypto/utils' || /sasl\.js$/.test(importer))
        ? { path }
        : undefined,
    )
  },
}
