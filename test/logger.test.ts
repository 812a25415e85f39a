import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { test } from 'tap'
import { projectDir } from './support/server.ts'

/** Logs more than a pipe and the buffer for it hold, and then ends as the service does. */
const SCRIPT = `
  import { createLogger, flushLog } from './dist/src/logger.js'
  // Such a listener of a library is gone after the first error.
  if (process.env.OTHER_LISTENER) process.stdout.once('error', () => {})
  const log = createLogger('info', (line) => line)
  for (let i = 0; i < 3000; i++) log.info({ i }, 'x'.repeat(1000))
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    log.info('later')
  }
  const readAgain = new Promise((resolve) => process.on('SIGUSR2', resolve))
  process.stderr.write('alive')
  if (process.env.GO_ON) {
    await readAgain
    await flushLog(60_000)
    log.info('read again')
  }
  await flushLog(1000)
  process.exit(7)`

function start(env: Record<string, string>) {
  return spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
    cwd: projectDir,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

test('a log that nobody reads stops neither the process nor its end', async (t) => {
  const child = start({})
  t.teardown(() => child.kill('SIGKILL'))
  const ended = new Promise((resolve) => child.once('exit', resolve))

  t.equal(await text(child.stderr), 'alive')
  t.equal(await ended, 7)
})

test('a log whose reader has gone stops neither the process nor its end', async (t) => {
  const child = start({ OTHER_LISTENER: 'true' })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.stdout.destroy()

  t.equal(await text(child.stderr), 'alive')
  t.equal(await ended, 7)
})

test('lines that were dropped meanwhile are counted once the log is read again', async (t) => {
  const child = start({ GO_ON: 'true' })
  t.teardown(() => child.kill('SIGKILL'))
  await new Promise((resolve) => child.stderr.once('data', resolve))

  const read = text(child.stdout)
  child.kill('SIGUSR2')
  const lines = (await read)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

  const [warning, last] = lines.slice(-2)
  t.match(warning, { level: 'warn', msg: /dropped/ })
  t.equal(lines.length - 2 + warning.dropped, 3003)
  t.equal(last.msg, 'read again')
})
