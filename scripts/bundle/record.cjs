// Loaded before a program of the bundle (node --require): writes the code cache of what it has run.
'use strict'
const { writeFileSync } = require('node:fs')
const { dirname, join } = require('node:path')
const vm = require('node:vm')

const scripts = new Map()

// How often something is repeated in a start depends on how busy the machine is: here, never. What waits so
// long is no part of a start that succeeds.
const SHORTEST_WAIT_MS = 100
const NEVER_MS = 2 ** 31 - 1
const longer = (ms) => (ms >= SHORTEST_WAIT_MS ? NEVER_MS : ms)
const { setTimeout, setInterval } = globalThis
globalThis.setTimeout = (run, ms, ...rest) => setTimeout(run, longer(ms), ...rest)
globalThis.setInterval = (run, ms, ...rest) => setInterval(run, longer(ms), ...rest)
const promises = require('node:timers/promises')
const { setTimeout: sleep } = promises
promises.setTimeout = (ms, ...rest) => sleep(longer(ms), ...rest)

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options)
    scripts.set(options.filename, this)
  }
}

process.on('SIGUSR2', () => process.exit())
process.on('exit', () => {
  for (const [filename, script] of scripts) {
    const name = filename.replace(/\.js$/, '.cache')
    writeFileSync(join(dirname(process.argv[1]), name), script.createCachedData())
  }
})
