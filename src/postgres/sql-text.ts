/**
 * A template for SQL that keeps its layout. The template's own indentation is removed, and so is a line
 * that holds nothing but an empty value. A value of several lines is indented to the column where it
 * stands, or to the line where it stands if it opens a bracket there.
 */
export function sql(
  template: TemplateStringsArray,
  ...values: readonly (string | number | boolean)[]
): string {
  let next = 0
  const text: string[] = []
  for (const line of dedent(template.join(VALUE)).split('\n')) {
    const [start = '', ...rest] = line.split(VALUE)
    let filled = start
    for (const part of rest) {
      filled += hang(String(values[next]), filled) + part
      next += 1
    }
    const isEmptyValue = rest.length > 0 && filled.trim() === ''
    if (!isEmptyValue) text.push(filled.trimEnd())
  }
  return text.join('\n')
}

/** Stands for a value while the lines of a template are told apart. */
const VALUE = '\0'

/** Joins the parts that are not empty, with a blank line between them. */
export function paragraphs(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n\n')
}

/** Joins the parts that are not empty, each on lines of its own. */
export function lines(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n')
}

/** The statements with a comment in front of them that explains them; nothing where there are none. */
export function explain(comment: string, ...statements: readonly string[]): string {
  const explained = lines(...statements)
  if (explained === '') return ''
  let row = '--'
  const rows: string[] = []
  for (const word of comment.split(' ')) {
    if (row.length + 1 + word.length > COMMENT_WIDTH) {
      rows.push(row)
      row = '--'
    }
    row += ` ${word}`
  }
  return lines(...rows, row, explained)
}

const COMMENT_WIDTH = 96

/** Removes the indentation that all lines have in common, and blank lines around them. */
function dedent(text: string): string {
  const all = splitLines(text)
  while (all.length > 0 && all[0]?.trim() === '') all.shift()
  while (all.length > 0 && all.at(-1)?.trim() === '') all.pop()
  const indented = all.filter((line) => line.trim() !== '')
  const common = Math.min(...indented.map((line) => line.search(/\S/)))
  return all.map((line) => line.slice(common)).join('\n')
}

/** Quotes the text between dollar signs, so that it can be read as it stands. */
export function dollarQuote(text: string): string {
  let tag = '$reset$'
  for (let number = 2; text.includes(tag); number += 1) tag = `$reset_${number}$`
  return `${tag}\n${text}\n${tag}`
}

/** Indents all lines but the first, so that they fit what stands before them. */
function hang(text: string, before: string): string {
  if (!text.includes('\n')) return text
  const [first = '', ...rest] = splitLines(text)
  const line = before.slice(before.lastIndexOf('\n') + 1)
  const column = first.endsWith('(') ? line.search(/\S|$/) : line.length
  return [first, ...rest.map((one) => (one === '' ? one : ' '.repeat(column) + one))].join('\n')
}

/** Splits SQL into lines. A line break inside a quoted name or a string belongs to it. */
function splitLines(sql: string): string[] {
  if (!/["']/.test(sql)) return sql.split('\n')
  const found = ['']
  for (const token of sql.match(LINE_PARTS) ?? []) {
    if (token === '\n') found.push('')
    else found[found.length - 1] += token
  }
  return found
}

/** What a line holds up to its end, or that end. A quote in a comment opens nothing. */
const LINE_PARTS = /\n|(?:[^\n"'-]+|--[^\n]*|-|"[^"]*"|'[^']*'|["'])+/g
