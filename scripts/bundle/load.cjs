// Runs a program of the bundle with the code cache beside it: functions that V8 has compiled before, so
// that a start need not. V8 rejects a cache of another version or of other flags (NODE_OPTIONS with
// --max-old-space-size), and a missing one is missed by nobody: then it compiles the program itself.
'use strict'
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { Script } = require('node:vm')

/** Runs `NAME.js` of this folder, and returns what it exports. */
module.exports = function load(name) {
  const filename = join(__dirname, `${name}.js`)
  // It is ASCII: as Latin 1 it is read without being decoded, and takes half the memory. It is one function
  // already: a wrapper that was added here would make V8 copy all of it.
  const source = readFileSync(filename, 'latin1')
  // The name in stack traces. It is part of the cache, so it does not say in which folder that was made.
  const shown = `${name}.js`
  const script = new Script(source, { filename: shown, cachedData: readCache(name) })
  const module = { exports: {} }
  script.runInThisContext()(module.exports, require, module, filename, __dirname)
  return module.exports
}

function readCache(name) {
  try {
    return readFileSync(join(__dirname, `${name}.cache`))
  } catch {
    return undefined
  }
}
