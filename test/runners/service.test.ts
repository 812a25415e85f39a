// The service that a test run starts for itself: one, whichever process starts it, and none when the run is over, however that
// ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { root } from '../support/files.ts'
import { until } from '../support/until.ts'
import {
  createWorkshop,
  listRunFolders,
  listServices,
  runIn,
  type Workshop,
  waitUntilStopped,
} from './project.ts'

/** Borrows a database, prints its name, and waits for a line, or for the end, of its input. */
const BORROWER = `
import { leaseDatabase } from '${join(root, 'dist/testing/testing.js')}'
const database = await leaseDatabase()
console.log(database.name)
process.stdin.once('data', async () => {
  const another = await leaseDatabase()
  console.log(another.name)
  process.exit()
})`

test('processes that start at once share one service, which ends with the last', async (t) => {
  const workshop = createWorkshop(t)
  const borrowers = Array.from({ length: 6 }, () => startBorrower(t, workshop))

  const names = await Promise.all(borrowers.map((borrower) => borrower.next()))

  t.equal(new Set(names).size, 6)
  t.equal(countServices(workshop), 1)
  const { token } = readRecord(workshop).address
  const processes = listServices(workshop).join('\n')
  t.notOk(processes.includes(token), 'the token is in no process list')
  t.notMatch(readLog(workshop), token, 'nor in the log')

  for (const { child } of borrowers) child.kill('SIGKILL')
  await waitUntilStopped(workshop)
})

test('a service that was killed is replaced, with its server', async (t) => {
  const workshop = createWorkshop(t)
  const borrower = startBorrower(t, workshop)
  const first = await borrower.next()
  const { pid } = readRecord(workshop)
  process.kill(pid, 'SIGKILL')

  borrower.child.stdin?.write('again\n')
  const second = await borrower.next()

  t.ok(second)
  t.not(second, first)
  t.not(readRecord(workshop).pid, pid)
  await waitUntilStopped(workshop)
})

test('a process that starts while an earlier run is ending gets a service', async (t) => {
  const workshop = createWorkshop(t)
  const first = startBorrower(t, workshop)
  await first.next()
  const { pid } = readRecord(workshop)
  first.child.kill('SIGKILL')
  await until('the record is withdrawn', () => readRecord(workshop)?.address === undefined)

  const second = startBorrower(t, workshop)

  t.ok(await second.next())
  t.not(readRecord(workshop).pid, pid)
  second.child.kill('SIGKILL')
  await waitUntilStopped(workshop)
})

test('a service that cannot start says why, and where its log is', async (t) => {
  const workshop = createWorkshop(t)
  const program = join(workshop.dir, 'borrow.mjs')
  writeFileSync(program, BORROWER)

  const run = runIn(workshop.dir, workshop, process.execPath, [program], {
    MIGRATIONS_DIR: join(workshop.dir, 'nowhere'),
  })

  await t.rejects(
    run,
    /the service for the test databases ended: .*MIGRATIONS_DIR.*its log is .*service\.log/s,
  )
})

interface Borrower {
  readonly child: ChildProcess
  /** The next line that it prints. */
  next(): Promise<string>
}

function startBorrower(t: Test, { dir, tmp }: Workshop): Borrower {
  const program = join(dir, 'borrow.mjs')
  writeFileSync(program, BORROWER)
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env.PATH, TMPDIR: tmp },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return {
    child,
    async next() {
      const [line] = await Promise.race([
        once(child.stdout, 'data'),
        once(child, 'exit').then(() => Promise.reject(new Error('the borrower has ended'))),
      ])
      return String(line).trim()
    },
  }
}

function runFolderOf(workshop: Workshop): string {
  return listRunFolders(workshop).find((path) => !path.endsWith('.lock')) ?? 'none'
}

function readRecord(workshop: Workshop) {
  return JSON.parse(readFileSync(join(runFolderOf(workshop), 'service.json'), 'utf8'))
}

function readLog(workshop: Workshop): string {
  return readFileSync(join(runFolderOf(workshop), 'service.log'), 'utf8')
}

function countServices(workshop: Workshop): number {
  return listServices(workshop).filter((line) => line.includes('run-service.js')).length
}
