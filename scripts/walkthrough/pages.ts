import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Recordings } from './record.ts'

/** The pages that show a recording, from the root of the project, and where. */
export const PAGES = [
  { path: 'CONTRIBUTING.md', name: 'change' },
  { path: 'docs/use/development-loop.md', name: 'loop' },
] as const satisfies readonly { path: string; name: keyof Recordings }[]

const blockOf = (name: string) =>
  new RegExp(`(?<=<!-- walkthrough: ${name} -->\\n\\n\`\`\`text\\n)[\\s\\S]*?(?=\`\`\`)`)

/** What the page shows now. */
export function readBlock(root: string, { path, name }: (typeof PAGES)[number]): string {
  const found = blockOf(name).exec(readFileSync(join(root, path), 'utf8'))
  if (found === null) throw new Error(`${path} has no <!-- walkthrough: ${name} --> with a block`)
  return found[0]
}

/** The page with this recording. */
export function replaceBlock(page: string, name: string, recording: string): string {
  return page.replace(blockOf(name), () => `${recording}\n`)
}
