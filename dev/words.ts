/** A pattern that finds a name as a whole word of a text. */
export function wordOf(name: string, flags = ''): RegExp {
  return new RegExp(`(?<!\\w)${escapeRegExp(name)}(?!\\w)`, flags)
}

/** A pattern that finds a name as a whole word with nothing qualifying it, in any case. */
export function unqualifiedWordOf(name: string): RegExp {
  return new RegExp(`(?<![\\w.])${escapeRegExp(name)}(?!\\w)`, 'i')
}

/** `commandbus.sp_start_batch` of `commandbus.sp_start_batch(text, uuid)`. */
export function withoutArguments(name: string): string {
  return name.replace(/\(.*$/s, '')
}

/** `sp_start_batch` of `commandbus.sp_start_batch(text, uuid)`. */
export function lastName(name: string): string {
  const [, last = name] = /(?:^|\.)("[^"]+"|[^."]+)$/.exec(withoutArguments(name)) ?? []
  return last.replaceAll('"', '')
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
