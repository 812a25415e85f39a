// Loaded before a program of the bundle (node --require): writes the code cache of what it has run.
'use strict'
const { execFileSync } = require('node:child_process')
const { writeFileSync } = require('node:fs')
const { dirname, join } = require('node:path')
const { setFlagsFromString } = require('node:v8')
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
  // A cache is only accepted under the flags that it was made with: those of this recording end here.
  for (const flag of [
    '--hash-seed=0',
    '--random-seed=0',
    '--flush-bytecode',
    '--min-semi-space-size=0',
    ...['turbofan', 'maglev', 'sparkplug'].map(defaultOf),
  ]) {
    setFlagsFromString(flag)
  }
  for (const [filename, script] of scripts) {
    const name = filename.replace(/\.js$/, '.cache')
    writeFileSync(join(dirname(process.argv[1]), name), script.createCachedData())
  }
})

/** Whether a compiler is on by default depends on the version: `--maglev` or `--no-maglev`. */
function defaultOf(flag) {
  const options = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' })
  const [, value] =
    new RegExp(`^  --${flag} .*\\n +type: bool +default: (--\\S+)$`, 'm').exec(options) ?? []
  if (value === undefined)
    throw new Error(`node --v8-options does not say the default of --${flag}`)
  return value
}
