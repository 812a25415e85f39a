/** Counts the line breaks from one offset to another. Found by offsets: an array of lines takes more memory. */
export function countNewlines(text: string, from = 0, to = text.length): number {
  let count = 0
  for (let at = text.indexOf('\n', from); at !== -1 && at < to; at = text.indexOf('\n', at + 1)) {
    count++
  }
  return count
}

/** The offset at which a line begins, counted from 0; the end of a text that has fewer. */
export function offsetOfLine(text: string, line: number): number {
  let offset = 0
  for (let left = line; left > 0; left--) {
    const newline = text.indexOf('\n', offset)
    if (newline === -1) return text.length
    offset = newline + 1
  }
  return offset
}
