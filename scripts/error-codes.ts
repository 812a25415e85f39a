// Writes the tables of docs/operate/error-codes.md from the table of codes: npm run docs:error-codes.
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { ERROR_CODE_CHAPTERS, EXIT } from '../src/errors/codes.ts'
import { toMarkdownTable } from './markdown-table.ts'

/** The page that holds the tables, from the project's folder. */
export const PAGE = 'docs/operate/error-codes.md'

const SECTION = /(<!-- error-codes -->\n).*?(<!-- \/error-codes -->)/s

/** Returns the page with its tables generated again. */
export function updateTables(page: string): string {
  if (!SECTION.test(page)) throw new Error(`${PAGE} has no <!-- error-codes --> section`)
  const chapters = Object.entries(ERROR_CODE_CHAPTERS).map(([title, entries]) => {
    const rows = Object.entries(entries).map(([code, { status, exitCode, meaning }]) => [
      `\`${code}\``,
      String(status ?? (exitCode === EXIT.database ? 503 : '')),
      exitCode === undefined ? '' : String(exitCode),
      meaning,
    ])
    return `## ${title}\n\n${toMarkdownTable(['Code', 'HTTP', 'Exit', 'Meaning'], rows)}\n`
  })
  return page.replace(SECTION, (_, begin, end) => `${begin}\n${chapters.join('\n')}\n${end}`)
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const file = new URL(`../${PAGE}`, import.meta.url)
  writeFileSync(file, updateTables(readFileSync(file, 'utf8')))
}
