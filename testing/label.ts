import { basename } from 'node:path'

/** Who borrows, where each test file is a program of its own. */
export function programLabel(): string {
  const [, program = 'a test'] = process.argv
  return `${basename(program)}, process ${process.pid}`
}
