// What large inputs cost: the field's rows B4 to B7. Memory is that of the service and the tool together.
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { createFolder, createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { type Service, startService } from '../support/service.ts'

const skip = existsSync('/proc/self/status') ? false : 'memory is read from /proc, as on Linux'
/** Of compose's service. */
const LIMIT_MB = 256

/** Writes a committed file of single inserts, and returns its folder and the number of its last line. */
function createInserts(t: Test, megabytes: number, last: string) {
  const folder = createFolder(t)
  const path = join(folder, 'committed', '000001-large.sql')
  mkdirSync(dirname(path))
  t.teardown(() => rmSync(path, { force: true }))
  const rows = Math.ceil((megabytes * 1e6) / 41)
  const hash = createHash('sha1')
  const write = (take: (text: string) => void) => {
    take('create table public.large (i int, name text);\n')
    for (let row = 0; row < rows; row += 1000) {
      const inserts = Array.from(
        { length: Math.min(1000, rows - row) },
        (_, at) => `insert into large values (${String(row + at).padStart(8)}, 'abc');\n`,
      )
      take(inserts.join(''))
    }
    take(`${last}\n`)
  }
  write((text) => hash.update(text))
  const file = openSync(path, 'w')
  writeSync(file, `--! Previous: -\n--! Hash: sha1:${hash.digest('hex')}\n\n`)
  write((text) => void writeSync(file, text))
  closeSync(file)
  return { folder, rows, line: rows + 5 }
}

async function start(t: Test, folder: string) {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const service = startService(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: folder,
    LOG_LEVEL: 'info',
  })
  return { pool, service, watching: watch(service) }
}

/** Follows memory and /livez until the service is ready or has ended. */
async function watch(service: Service) {
  const peaks = new Map<number, number>()
  const waits: number[] = []
  const readPeak = (pid: number | undefined) => {
    const kilobytes = /VmHWM:\s+(\d+)/.exec(readProc(`${pid}/status`))?.[1]
    if (pid !== undefined && kilobytes !== undefined) peaks.set(pid, Number(kilobytes) / 1024)
  }
  const { pid, exitCode } = service.child
  const isOver = () =>
    service.child.exitCode !== exitCode || service.log().some(({ msg }) => msg === 'ready')
  while (!isOver()) {
    readPeak(pid)
    for (const child of readProc(`${pid}/task/${pid}/children`).split(' ')) {
      if (child !== '') readPeak(Number(child))
    }
    const startedAt = performance.now()
    if (service.log().some(({ msg }) => msg.startsWith('listening at'))) {
      await service.get('/livez').then(
        () => waits.push(performance.now() - startedAt),
        () => {},
      )
    }
    await sleep(20)
  }
  waits.sort((a, b) => a - b)
  const together = [...peaks.values()].reduce((sum, peak) => sum + peak, 0)
  const [median = 0, longest = 0] = [waits[waits.length >> 1], waits.at(-1)]
  return { together, median, longest, probes: waits.length }
}

function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8').trim()
  } catch {
    return ''
  }
}

function check(t: Test, { together, median, longest, probes }: Awaited<ReturnType<typeof watch>>) {
  t.comment(
    `${together.toFixed(0)} MB; /livez ${probes} times, median ${median.toFixed(0)} ms, ` +
      `longest ${longest.toFixed(0)} ms`,
  )
  t.ok(together < LIMIT_MB, `${together.toFixed(0)} MB are below ${LIMIT_MB} MB`)
  t.ok(probes > 0, 'probes are answered')
  // 100 ms on a quiet machine.
  t.ok(longest < Math.max(500, 20 * median), `the longest probe took ${longest.toFixed(0)} ms`)
}

test('a migration of 12 MB is applied', { skip }, async (t) => {
  const { folder, rows } = createInserts(t, 12, 'select 1;')
  const { pool, service, watching } = await start(t, folder)
  const found = await watching
  await service.waitForReady()
  check(t, found)
  const result = await pool.query('select count(*)::int as rows from public.large')
  t.strictSame(result.rows, [{ rows }])
})

test('a million notices are counted', { skip }, async (t) => {
  const folder = createMigrationsFolder(t, [
    "do $$ begin for i in 1..1000000 loop raise notice 'notice %', i; end loop; end $$;",
  ])
  const { service, watching } = await start(t, folder)
  check(t, await watching)
  await service.waitForReady()
  const notices = service.log().filter(({ msg }) => msg === 'notice from a migration')
  t.equal(notices.length, 20)
})

test('the last statement of 60 MB fails', { skip }, async (t) => {
  const { folder, line } = createInserts(t, 60, 'select 1 / 0;')
  const { pool, service, watching } = await start(t, folder)
  check(t, await watching)
  t.strictSame(await service.ended, { code: 4, signal: null })
  t.match(service.output(), `line ${line}: select 1 / 0`)
  const { rows } = await pool.query(`select to_regclass('public.large') as found`)
  t.strictSame(rows, [{ found: null }], 'it was rolled back')
})
