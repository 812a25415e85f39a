import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from './processes.ts'

const PAUSE_MS = 20
/** A file without a number is one that is being written, unless it is older than this. */
const WRITING_MS = 2000

/**
 * Runs work while this process alone holds the lock file. A lock whose process is dead is taken away from it.
 * Throws after `waitMs`, naming the process that holds it.
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  { waitMs }: { readonly waitMs: number },
): Promise<T> {
  const deadline = performance.now() + waitMs
  while (!tryLock(path)) {
    const holder = readHolder(path)
    if (holder !== undefined && !holder.isAlive) breakLock(path, holder.text)
    else if (performance.now() > deadline) {
      throw new Error(
        `process ${holder?.text} did not release ${path} within ${waitMs} ms; end that process, or remove the file`,
      )
    } else await sleep(PAUSE_MS)
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

function tryLock(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readHolder(path: string): { text: string; isAlive: boolean } | undefined {
  try {
    const text = readFileSync(path, 'utf8')
    if (text !== '') return { text, isAlive: isAlive(Number(text)) }
    return { text, isAlive: Date.now() - statSync(path).mtimeMs < WRITING_MS }
  } catch {
    // It was released meanwhile.
    return undefined
  }
}

/** Moves a dead process's lock aside. Of several that do so at once, one may move a new lock: it is put back. */
function breakLock(path: string, expected: string): void {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    renameSync(path, aside)
    const text = readFileSync(aside, 'utf8')
    if (text === expected) rmSync(aside)
    else renameSync(aside, path)
  } catch {
    // Another process was first.
  }
}
