import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Script } from 'node:vm'
import { type Test, test } from 'tap'
import { REPORT_CACHES } from '../support/code-cache.ts'
import { projectDir } from '../support/server.ts'

const app = join(projectDir, 'dist', 'app')

/** Starts the service without settings, so that it ends at once. */
function start(folder: string, ...flags: string[]): { code: number | null; stderr: string } {
  const args = ['--import', REPORT_CACHES, ...flags, join(folder, 'server.js')]
  const { status, stderr, stdout } = spawnSync(process.execPath, args, {
    cwd: projectDir,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, PORT: 'wrong' },
  })
  return { code: stdout.includes('wrong_settings') ? status : null, stderr }
}

function copyApp(t: Test): string {
  const folder = t.testdir()
  cpSync(app, folder, { recursive: true })
  return folder
}

test('the service starts with its code cache', async (t) => {
  t.strictSame(start(app), { code: 2, stderr: 'cache of service.js rejected: false\n' })
})

const REJECTED: Readonly<Record<string, (folder: string) => readonly string[]>> = {
  'under other flags of V8': () => ['--max-old-space-size=300'],
  'cut off': (folder) => {
    const file = join(folder, 'service.cache')
    writeFileSync(file, readFileSync(file).subarray(0, 100_000))
    return []
  },
  'of another program': (folder) => {
    const other = new Script('module.exports = 1').createCachedData()
    writeFileSync(join(folder, 'service.cache'), other)
    return []
  },
  'of another version of V8': (folder) => {
    const file = join(folder, 'service.cache')
    const bytes = readFileSync(file)
    // After the magic number comes a hash of the version.
    bytes.writeUInt32LE(bytes.readUInt32LE(4) ^ 1, 4)
    writeFileSync(file, bytes)
    return []
  },
  'that is not one': (folder) => {
    writeFileSync(join(folder, 'service.cache'), 'not a cache')
    return []
  },
}
for (const [what, prepare] of Object.entries(REJECTED)) {
  test(`a cache ${what} is rejected, and the service starts without`, async (t) => {
    const folder = copyApp(t)
    const flags = prepare(folder)

    t.strictSame(start(folder, ...flags), {
      code: 2,
      stderr: 'cache of service.js rejected: true\n',
    })
  })
}

test('the service starts without a cache', async (t) => {
  const folder = copyApp(t)
  rmSync(join(folder, 'service.cache'))

  t.strictSame(start(folder), { code: 2, stderr: 'cache of service.js rejected: none\n' })
})

test('a stack trace of the bundle names functions and lines', async (t) => {
  const script = `
    const { createRequire } = await import('node:module')
    const load = createRequire(import.meta.url)('./load.js')
    process.stdout.write = () => { throw new Error('boom') }
    process.on('uncaughtException', ({ stack }) => { console.error(stack); process.exit(0) })
    process.env.PORT = 'wrong'
    load('service').runService()`
  const file = join(copyApp(t), 'trace.mjs')
  writeFileSync(file, script)
  const { stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' })

  // Without the folder that the build ran in.
  t.match(stderr, /at loadConfigOrExit \(service\.js:\d+:\d+\)/)
})
