// The service of one test run, as a process: it stops when no process of the run is left.
//
//   node run-service.js FOLDER
import { createRequire } from 'node:module'
import { giveBackRepeatedly } from './abandoned.ts'
import { openRunFolder } from './run-folder.ts'
import { stopWhenUnused } from './stop-when-unused.ts'

const folder = openRunFolder(process.argv[2] ?? '')
process.once('exit', (code) => {
  // The log of a failure stays.
  if (code === 0) folder.remove()
  else folder.clear()
})
const stopGivingBack = giveBackRepeatedly(folder)
void stopWhenUnused(folder, () => {
  stopGivingBack()
  process.kill(process.pid, 'SIGTERM')
})
createRequire(import.meta.url)('../app/server.js')
