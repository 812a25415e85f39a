// For test runners in other languages: prints the address and the token of the run's service as JSON, and
// starts it if need be. It lives as long as the process whose number is given.
//
//   node acquire.js PID [--verify]
import { readEnvironment } from './environment.ts'
import { acquireSharedService } from './shared-service.ts'

const [, , pid = '', option] = process.argv
try {
  if (!/^[1-9][0-9]*$/.test(pid)) throw new Error('usage: node acquire.js PID [--verify]')
  const { settings } = readEnvironment()
  const options = { verify: option === '--verify' }
  const address = await acquireSharedService({ settings, runnerPid: Number(pid) }, options)
  process.stdout.write(`${JSON.stringify(address)}\n`)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
