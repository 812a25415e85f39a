import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { test } from 'tap'
import { identifyProcess, readArguments } from '../../../src/database/embedded/process.ts'
import { until } from '../../support/until.ts'

test('a process is identified as long as it runs', async (t) => {
  const child = spawn('sleep', ['60'])
  t.teardown(() => child.kill())
  const pid = child.pid ?? 0

  const identity = identifyProcess(pid)
  t.type(identity, 'string')
  t.equal(identifyProcess(pid), identity)
  t.not(identifyProcess(process.pid), identity)
  t.match(readArguments(pid), ['sleep', '60'])

  child.kill()
  await once(child, 'exit')
  t.equal(identifyProcess(pid), undefined)
  t.strictSame(readArguments(pid), [])
})

test('a zombie does not count as running', {
  skip: process.platform === 'linux' ? false : 'NOT TESTED: the state is read from /proc',
}, async (t) => {
  // `sleep` takes the place of the shell while its child lives, and never collects its exit status.
  const parent = spawn('/bin/sh', ['-c', 'sleep 1 & echo $!; exec sleep 60'])
  t.teardown(() => parent.kill())
  const [line] = await once(createInterface(parent.stdout), 'line')
  const pid = Number(line)
  await until('the child is a zombie', () => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')))

  t.equal(identifyProcess(pid), undefined)
})
