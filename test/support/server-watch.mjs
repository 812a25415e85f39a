// Outlives the test run by a moment: stops the run's PostgreSQL and removes its folder when it is
// told to (SIGTERM, from after.ts) or when the run has gone away without a word (Ctrl-C, a crash).
// Plain JavaScript, because it starts with every run and must not wait for a compiler.
import { rmSync } from 'node:fs'

const [runner, postmaster] = process.argv.slice(2, 4).map(Number)
const leftovers = process.argv.slice(4)

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** @param {() => boolean} condition */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 100))
}

let asked = false
process.on('SIGTERM', () => {
  asked = true
})
process.on('SIGINT', () => {})

await until(() => asked || !isAlive(runner) || !isAlive(postmaster))
// SIGQUIT: immediate shutdown. Nothing in these databases outlives the run, so nothing is saved.
if (isAlive(postmaster)) process.kill(postmaster, 'SIGQUIT')
await until(() => !isAlive(postmaster))
for (const path of leftovers) rmSync(path, { recursive: true, force: true })
