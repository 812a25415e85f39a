import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Below the ports that the system assigns by itself, for outgoing connections for example. */
const FIRST_PORT = 10_000
const PORT_COUNT = 20_000

/** One file for each reserved port, which holds the pid of its test process. */
const reservationsDir = join(tmpdir(), 'commandbus-test-ports')
const reserved: string[] = []
process.once('exit', () => {
  for (const file of reserved) rmSync(file, { force: true })
})

/**
 * Finds a port of 127.0.0.1 that no program uses, and reserves it for this process: a server that is
 * started minutes later still finds it free, whatever other test files start in the meantime.
 */
export async function findFreePort(): Promise<number> {
  while (true) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORT_COUNT)
    if (reserve(join(reservationsDir, String(port))) && (await isFree(port))) return port
  }
}

function reserve(file: string): boolean {
  mkdirSync(reservationsDir, { recursive: true })
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    reserved.push(file)
    return true
  } catch {
    if (!isAlive(readFileOrEmpty(file))) rmSync(file, { force: true })
    return false
  }
}

function readFileOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function isAlive(pid: string): boolean {
  // Without a pid, the other process has just created the file.
  if (pid === '') return true
  try {
    return process.kill(Number(pid), 0)
  } catch {
    return false
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  const listening = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => resolve(true))
  })
  if (listening) await new Promise((resolve) => probe.close(resolve))
  return listening
}
