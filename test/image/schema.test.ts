import { execFile } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { projectDir } from '../support/server.ts'
import { startDatabase } from './database.ts'
import { needsEngine } from './docker.ts'

t.test(
  'the schema keeps its promises on PostgreSQL 17 with the real PGMQ',
  needsEngine,
  async (t) => {
    const { urlOnHost } = await startDatabase(t)

    const { exitCode, output } = await runTests(urlOnHost, [
      'test/schema/**/*.test.ts',
      'test/pgmq/*.test.ts',
    ])

    const totals = /^# \{ total: (\d+).*\}$/m.exec(output)
    t.comment(totals?.[0] ?? 'no totals')
    t.equal(
      exitCode,
      0,
      output
        .split('\n')
        .filter((line) => /^ *not ok/.test(line))
        .join('\n'),
    )
    t.ok(Number(totals?.[1]) > 100, 'the whole suite ran')
  },
)

/** A run of tap of its own, which takes the given server instead of the embedded one. */
function runTests(url: string, paths: string[]): Promise<{ exitCode: number; output: string }> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(_?TAP|NODE_OPTIONS)/.test(name),
  )
  const env = { ...Object.fromEntries(inherited), TEST_DATABASE_URL: url }
  return new Promise((resolve) => {
    const tap = join(projectDir, 'node_modules/.bin/tap')
    const options = { cwd: projectDir, env, maxBuffer: 256 * 1024 * 1024 }
    const args = ['--reporter=tap', ...paths]
    execFile(tap, args, options, (error, output) => {
      resolve({ exitCode: error ? Number(error.code ?? 1) : 0, output })
    })
  })
}
