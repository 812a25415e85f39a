import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const isLinux = process.platform === 'linux'

/**
 * Distinguishes the process that has this pid now from earlier and later ones with the same pid;
 * undefined if no process is running with it.
 */
export function identifyProcess(pid: number): string | undefined {
  try {
    if (!isLinux) return ps(pid, 'lstart').replaceAll(/\s+/g, '_') || undefined
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field, the name in parentheses, may contain anything; count from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, startedTicks] = [fields[0], fields[19]]
    // A zombie has ended; its parent has just not collected its exit status.
    if (state === 'Z' || state === 'X') return undefined
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${bootId}_${startedTicks}`
  } catch {
    return undefined
  }
}

/** The arguments of a process, its program first; empty if they cannot be read. */
export function readArguments(pid: number): string[] {
  try {
    return isLinux
      ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      : ps(pid, 'command').split(' ')
  } catch {
    return []
  }
}

/** The pids of all processes that this one can see. */
export function listProcesses(): number[] {
  try {
    const names = isLinux
      ? readdirSync('/proc')
      : execFileSync('ps', ['-axo', 'pid='], { encoding: 'utf8' }).split('\n')
    return names.map((name) => Number(name.trim())).filter((pid) => pid > 0)
  } catch {
    return []
  }
}

/** Identifies the namespace in which this process's pids are valid; every container has its own. */
export function findPidNamespace(): string {
  return isLinux ? readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '') : 'machine'
}

function ps(pid: number, column: string): string {
  return execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' }).trim()
}
