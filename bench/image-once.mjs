// Runs one program in a container of the image, and prints how many milliseconds it took: from the start of
// its process until its log says that it is ready, or until it has ended.
//
//   node --eval "$(cat bench/image-once.mjs)" ready|ended COMMAND …
import { spawn } from 'node:child_process'

const [until, command, ...args] = process.argv.slice(1)
// Node.js takes ten milliseconds longer to start its first child process.
await new Promise((resolve) => spawn('true').once('close', resolve))
const startedAt = performance.now()
const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
let output = ''
let ms
const note = () => {
  ms ??= performance.now() - startedAt
}
child.stdout.setEncoding('utf8').on('data', (text) => {
  output += text
  if (until === 'ready' && output.includes('"msg":"ready"')) {
    note()
    child.kill('SIGTERM')
  }
})
child.once('exit', (code) => {
  if (until === 'ended') note()
  if (code !== 0) throw new Error(`it ended with ${code}: ${output}`)
})
child.once('close', () => console.log(ms))
