// The log on a terminal, which util-linux's program `script` provides.
import { execFileSync } from 'node:child_process'
import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'

function findMissingTerminal(): string | false {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux')
      ? false
      : 'script is not the one of util-linux'
  } catch {
    return 'the program script of util-linux is not installed'
  }
}

const skip = findMissingTerminal()
const ESCAPE = '\u001b'

for (const { what, env, isColored } of [
  { what: 'has colours', env: { TERM: 'xterm-256color' }, isColored: true },
  {
    what: 'has none with NO_COLOR',
    env: { TERM: 'xterm-256color', NO_COLOR: '1' },
    isColored: false,
  },
] as const) {
  test(`on a terminal the log is readable and masked, and ${what}`, { skip }, async (t) => {
    const { url } = await createTestDatabase(t, { from: 'empty' })
    const secret = 'hush-and-never-tell'
    const folder = createMigrationsFolder(t, [
      `do $$ begin raise notice 'the token is ${secret}'; end $$`,
      'select 1;',
    ])
    const command = [process.execPath, 'dist/app/migrate-once.js'].join(' ')
    const service = startService(
      t,
      {
        ...{ DATABASE_URL: url, MIGRATIONS_DIR: folder, LOG_LEVEL: 'info' },
        ...{ RESET_ENABLED: 'true', RESET_TOKEN: secret },
        ...env,
      },
      ['script', '--quiet', '--return', '--command', command, '/dev/null'],
    )

    t.match(await service.ended, { code: 0 })
    const output = service.output()
    t.match(output, 'the token is [hidden]')
    t.notMatch(output, secret)
    t.equal(output.includes(ESCAPE), isColored)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one.
    const text = output.replace(/\u001b\[\d+m/g, '')
    t.match(text, /^\[[\d:]{8}\] INFO: migration applied: 000002\S*\.sql, 2 of 2, \d+ ms\r?$/m)
    t.notMatch(text, '"msg"')
  })
}
