import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startStandInServer } from './stand-in-server.mjs'

/**
 * With these, two recordings of one bundle have the same bytes; `finish` makes the caches count without. The
 * optimizing compilers mark what they have looked at, and when they look depends on how busy the
 * machine is. For the same reason record.cjs stops the clock of all that waits or repeats.
 */
const RECORD = [
  ...['--hash-seed=1', '--random-seed=1', '--no-flush-bytecode'],
  ...['--no-turbofan', '--no-maglev', '--no-sparkplug'],
  ...['--require', fileURLToPath(new URL('record.cjs', import.meta.url))],
]

/** Room for all objects of a start: each garbage collection would leave its mark in the cache. */
const ROOM = '--min-semi-space-size=16'

/** Where a cache says under which flags of V8 it counts: a hash of them. */
const FLAGS_HASH = { start: 12, end: 16 }

const LIMIT_MS = 20_000

const ATTEMPTS = 6

/**
 * Writes V8's code cache of a bundle: starts its service once, on an empty database with one migration. Without it a
 * start is slower by a third, so a build that cannot record it says so and goes on.
 */
export async function writeCodeCache(folder) {
  const file = join(folder, 'service.cache')
  // V8 compares only the length of a program with that of its cache.
  rmSync(file, { force: true })
  const migrationsDir = createMigrations()
  try {
    await repeat(file, () => recordOnServer(folder, migrationsDir))
    finish(file)
  } catch (error) {
    rmSync(file, { force: true })
    console.warn(`no code cache was made, so starts will be slower: ${error.message}`)
  } finally {
    rmSync(migrationsDir, { recursive: true, force: true })
  }
}

/**
 * Records until a cache has the same bytes as an earlier one. On a busy machine answers to several sessions
 * may arrive in another order, and V8 numbers functions in the order in which they are compiled.
 */
async function repeat(file, record) {
  const earlier = new Set()
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    await record()
    const cache = readFileSync(file, 'latin1')
    if (earlier.has(cache)) return
    earlier.add(cache)
  }
}

async function recordOnServer(folder, migrationsDir) {
  const server = await startStandInServer()
  try {
    await record(folder, migrationsDir, server)
  } finally {
    server.close()
  }
}

/**
 * Makes a cache count under the flags of a start. They cannot be set back at the end of a recording: with an
 * optimizing compiler V8 switches further things off, other ones in each version. None changes bytecode.
 */
function finish(file) {
  const cache = readFileSync(file)
  const { start, end } = FLAGS_HASH
  cache.set(evaluate(`new vm.Script('0').createCachedData()`).subarray(start, end), start)
  writeFileSync(file, cache)
  const load = `new vm.Script(fs.readFileSync(path + '.js', 'latin1'), { cachedData: fs.readFileSync(path + '.cache') })`
  const isRejected = evaluate(`String(${load}.cachedDataRejected)`, file.replace(/\.cache$/, ''))
  if (String(isRejected) !== 'false') throw new Error('V8 rejects it')
}

/** What an expression gives in a process with the flags of a start: bytes, or a text as bytes. */
function evaluate(expression, path = '') {
  const code = `const path = process.argv[1]; process.stdout.write(${expression})`
  return execFileSync(process.execPath, ['--eval', code, path], { env: {} })
}

async function record(folder, migrationsDir, server) {
  const child = spawn(process.execPath, [ROOM, ...RECORD, join(folder, 'server.js')], {
    env: { DATABASE_URL: server.url, MIGRATIONS_DIR: migrationsDir, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  try {
    // Once as the start compares the history, and then by the watch.
    const isWatched = () => server.count('as fingerprint') >= 2
    await until(child, () => output.includes('"msg":"ready"') && isWatched())
    const [address] = /http:\/\/[^"]+/.exec(output) ?? []
    // The last one is answered when what a start reads in the background is there.
    for (const path of ['livez', 'readyz', 'status']) await request(`${address}/${path}`)
    // It does not stop as it does elsewhere: in which order things close depends on the machine, too.
    child.kill('SIGUSR2')
    await until(child, () => false)
  } catch (error) {
    throw new Error(`${error.message}: ${output}`, { cause: error })
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

/** Resolves when the condition holds or the process has ended with 0; rejects otherwise. */
async function until(child, condition) {
  const deadline = Date.now() + LIMIT_MS
  while (!condition()) {
    if (child.exitCode === 0) return
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    if (Date.now() > deadline) throw new Error(`it took more than ${LIMIT_MS / 1000} s`)
    await sleep(10)
  }
}

function request(url) {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => response.resume().on('end', resolve)).on(
      'error',
      reject,
    )
  })
}

/** All that the reader of SQL meets in usual files. */
const BODY = `-- A comment.
create function f(a int) returns int language sql as $$ select a $$;
comment on function f(int) is 'It''s a function''s comment.';
create table "T" (a int default 1, b text default e'\\n', check (a > 0)); /* the end */
`

/** A migrations folder with one committed file. */
function createMigrations() {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-bundle-'))
  const hash = createHash('sha1').update(BODY).digest('hex')
  mkdirSync(join(folder, 'committed'))
  writeFileSync(
    join(folder, 'committed', '000001-first.sql'),
    `--! Previous: -\n--! Hash: sha1:${hash}\n\n${BODY}`,
  )
  return folder
}
