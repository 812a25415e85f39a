import { readFileSync, writeFileSync } from 'node:fs'
import { RULES } from '../../../dev/commit/rules/index.ts'
import type { RefusedCase } from './cases.ts'

const PAGE = 'docs/use/what-a-commit-refuses.md'

/** Describes a case as the page shows it: what the rule refuses, the change, and what the commit says. */
export function describeCase({ rule, sql, fixture, deleted }: RefusedCase, text: string): string {
  const refuses = RULES.find(({ name }) => name === rule)?.refuses ?? 'what squawk finds'
  const change =
    fixture === undefined
      ? deleted === undefined
        ? ''
        : `-- fixtures/${deleted} is deleted\n`
      : `-- fixtures/${fixture.path}: ${fixture.to.trim()} instead of ${fixture.from.trim()}\n`
  return [
    `### ${rule}`,
    `It refuses ${refuses}.`,
    `\`\`\`sql\n${change}${sql.trim()}\n\`\`\``,
    // How to insist is shown once.
    `\`\`\`text\n${text.split('\n\nnothing was')[0]}\n\`\`\``,
  ].join('\n\n')
}

/** Returns what the page has between two markers. With UPDATE_GOLDEN=1, it is replaced by `content` before. */
export function readSection(name: string, content: string): string {
  const section = new RegExp(`(?<=<!-- ${name} -->\n).*?(?=<!-- /${name} -->)`, 's')
  const page = readFileSync(PAGE, 'utf8')
  if (process.env.UPDATE_GOLDEN === '1') {
    writeFileSync(
      PAGE,
      page.replace(section, () => `\n${content}\n\n`),
    )
  }
  return section.exec(readFileSync(PAGE, 'utf8'))?.[0].trim() ?? ''
}
