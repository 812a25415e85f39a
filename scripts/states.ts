// Writes docs/operate/states.md from the table of states: npm run docs:states.
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { EXITS, FINDINGS, STATES } from '../src/status/remedies.ts'
import { toMarkdownTable } from './markdown-table.ts'

/** The page that holds what is generated, from the project's folder. */
export const PAGE = 'docs/operate/states.md'

/** Returns the page with its sections generated again. */
export function updateStates(page: string): string {
  return [
    ['states', describeStates()],
    ['findings', describeFindings()],
    ['exits', describeExits()],
  ].reduce((text, [name = '', content = '']) => replaceSection(text, name, content), page)
}

function replaceSection(page: string, name: string, content: string): string {
  const section = new RegExp(`(<!-- ${name} -->\n).*?(<!-- /${name} -->)`, 's')
  if (!section.test(page)) throw new Error(`${PAGE} has no <!-- ${name} --> section`)
  return page.replace(section, (_, begin, end) => `${begin}\n${content}\n\n${end}`)
}

function describeStates(): string {
  return Object.entries(STATES)
    .map(([state, { title, meaning, remedy, log, exit }]) => {
      const facts = [
        `\`/readyz\` ${state === 'ready' ? '200' : `503, \`${state}\``}`,
        `log: \`${log}\``,
        ...(exit === undefined ? [] : [`exit code ${exit.code} ${exit.when}`]),
      ]
      return [
        `### ${title}`,
        wrap(`${facts.join(' · ')}`),
        wrap(meaning),
        ...(remedy === undefined ? [] : [wrap(`**What to do:** ${remedy}`)]),
        `![The page: ${title}](pictures/${state}.png)`,
      ].join('\n\n')
    })
    .join('\n\n')
}

function describeFindings(): string {
  return Object.values(FINDINGS)
    .map(({ title, meaning, remedy }) => wrap(`- **${title}.** ${meaning} ${remedy}`, '  '))
    .join('\n')
}

const WIDTH = 120

/** Breaks a paragraph into lines as those of the other pages. */
function wrap(text: string, indent = ''): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = indent + word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join('\n')
}

function describeExits(): string {
  const rows = Object.entries(EXITS).map(([code, { meaning, remedy }]) => [code, meaning, remedy])
  return toMarkdownTable(['Code', 'Meaning', 'What to do'], rows)
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const file = new URL(`../${PAGE}`, import.meta.url)
  writeFileSync(file, updateStates(readFileSync(file, 'utf8')))
}
