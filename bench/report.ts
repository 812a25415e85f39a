import { readFileSync, writeFileSync } from 'node:fs'

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** A Markdown table, as the formatter has it; all but the first column are numbers. */
export function toTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...lines].map((cells) => (cells[column] ?? '').length)),
  )
  const pad = (cells: readonly string[]) =>
    cells.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  )
  return [pad(head), rule, ...lines.map(pad)].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** Puts a text between `<!-- name -->` and `<!-- /name -->` of a document. */
export function replaceSection(file: URL, name: string, text: string): void {
  const before = readFileSync(file, 'utf8')
  const section = new RegExp(`(<!-- ${name} -->\n).*?(<!-- /${name} -->)`, 's')
  if (!section.test(before)) throw new Error(`${file.pathname} has no <!-- ${name} -->`)
  writeFileSync(
    file,
    before.replace(section, (_, begin, end) => `${begin}\n${text}\n\n${end}`),
  )
}
