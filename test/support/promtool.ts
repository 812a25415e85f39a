import { execFileSync } from 'node:child_process'

/** Says why tests with promtool are skipped; false if it can be run. */
export function findMissingPromtool(): string | false {
  try {
    execFileSync('promtool', ['--version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'promtool is not installed (Debian: the package prometheus)'
  }
}
