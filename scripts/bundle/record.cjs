// Loaded before a program of the bundle (node --require): writes the code cache of what it has run.
'use strict'
const { writeFileSync } = require('node:fs')
const { dirname, join } = require('node:path')
const { setFlagsFromString } = require('node:v8')
const vm = require('node:vm')

const scripts = new Map()

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options)
    scripts.set(options.filename, this)
  }
}

process.on('exit', () => {
  // A cache is only accepted under the flags that it was made with: those of this recording end here.
  for (const flag of [
    '--hash-seed=0',
    '--random-seed=0',
    '--flush-bytecode',
    '--min-semi-space-size=0',
  ]) {
    setFlagsFromString(flag)
  }
  for (const [filename, script] of scripts) {
    const name = filename.replace(/\.js$/, '.cache')
    writeFileSync(join(dirname(process.argv[1]), name), script.createCachedData())
  }
})
