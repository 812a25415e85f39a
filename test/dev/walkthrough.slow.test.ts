// The recordings in the documentation are what the terminals show: npm run docs:walkthrough writes them.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { PAGES, readBlock } from '../../scripts/walkthrough/pages.ts'
import { normalize, withoutNpm } from '../../scripts/walkthrough/plain.ts'
import { record } from '../../scripts/walkthrough/record.ts'
import { projectDir } from '../support/server.ts'

const missing = ['/usr/bin/script', join(projectDir, '.git')].filter((path) => !existsSync(path))

test('the recordings in the documentation are what the terminals show', {
  skip: missing.length > 0 && `NOT TESTED: ${missing.join(' and ')} is missing`,
}, async (t) => {
  const recordings = await record()

  for (const page of PAGES) t.equal(readBlock(projectDir, page), `${recordings[page.name]}\n`)
})

test('what differs between two runs is written as if it had been the same', (t) => {
  const run = (pid: number, other: number, ms: number, hash: string) =>
    normalize(
      `[10:11:${ms}] embedded server started: port 54${ms}0, dataDir /tmp/x${ms}/.data, ${ms}.3 s (${ms} ms)\n` +
        `  expected session ${pid} to wait for session ${other}, but\n` +
        `    ${Math.min(pid, other)} idle\n    ${Math.max(pid, other)} idle\n` +
        `[a-branch ${hash}] Message\n`,
      `/tmp/x${ms}`,
    )
  t.equal(run(81, 80, 12, 'abcdef1'), run(2100, 2101, 34, '1234567'))
  t.equal(normalize('started, 0.9 s', '/tmp/x'), normalize('started, 87 ms', '/tmp/x'))
  t.equal(withoutNpm('\n> bus@1 dev\n> node dev\n\n one\n\ntwo\n⠙\n'), ' one\ntwo')
  t.end()
})
