import { readHeaders } from './headers.ts'
import { countNewlines, offsetOfLine } from './lines.ts'
import { createPauses, readPieces } from './pieces.ts'
import { createTextReader } from './text.ts'

/** Where the text is that graphile-migrate runs of a file. */
export interface Body {
  readonly path: string
  /** The line of the file on which it begins, counted from 1. */
  readonly bodyLine: number
}

/** A place in a body. */
export interface Place {
  /** In the file, counted from 1. */
  readonly line: number
  readonly column: number
  /** The line's text, or as much of it as is in one piece. */
  readonly text: string
}

/** A name of a placeholder may go on after this. */
const POSSIBLE_NAME = /:[A-Z0-9_]*$/

/**
 * Reads the text of a committed file below its headers in pieces, trimmed as graphile-migrate does it.
 * They end where lines end, or in longer lines between characters that are no name of a placeholder.
 */
export async function* readBody({ path }: Pick<Body, 'path'>): AsyncGenerator<string, void> {
  const reader = createTextReader()
  let isHeader = true
  let isBlank = true
  let rest = ''
  for await (const bytes of readPieces(path)) {
    const text = reader.read(bytes)
    if (text === undefined) break
    rest += isHeader ? skipHeaders(text) : text
    isHeader = false
    if (isBlank) rest = rest.trimStart()
    isBlank = rest === ''
    // Blanks at the end of the file do not belong to the body.
    const end = rest.trimEnd().length
    if (end === 0) continue
    const newline = rest.lastIndexOf('\n', end - 1) + 1
    const cut =
      newline > 0 ? newline : end - (POSSIBLE_NAME.exec(rest.slice(0, end))?.[0].length ?? 0)
    if (cut > 0) yield rest.slice(0, cut)
    rest = rest.slice(cut)
  }
  const problem = reader.finish()
  if (problem !== undefined) throw new Error(`${path} ${problem}`)
  yield `${rest.trimEnd()}\n`
}

/** Whether one of the files has this text, the name of a placeholder. Those in memory are asked first. */
export async function includesText(
  files: readonly (Body & { readonly body: string | undefined })[],
  name: string,
): Promise<boolean> {
  if (files.some(({ body }) => body?.includes(name))) return true
  const pause = createPauses()
  for (const file of files.filter(({ body }) => body === undefined)) {
    for await (const piece of readBody(file)) {
      if (piece.includes(name)) return true
      await pause()
    }
  }
  return false
}

/** Finds the line of an offset in a body by reading the file up to it. */
export async function findPlace(body: Body, offset: number): Promise<Place> {
  const pause = createPauses()
  let { bodyLine: line } = body
  let start = 0
  let lineStart = 0
  let piece = ''
  for await (piece of readBody(body)) {
    if (start + piece.length > offset) break
    const newline = piece.lastIndexOf('\n')
    if (newline !== -1) lineStart = start + newline + 1
    line += countNewlines(piece)
    start += piece.length
    await pause()
  }
  const at = Math.min(offset - start, piece.length - 1)
  const newline = at > 0 ? piece.lastIndexOf('\n', at - 1) : -1
  if (newline !== -1) lineStart = start + newline + 1
  const end = piece.indexOf('\n', at)
  return {
    line: line + countNewlines(piece, 0, at),
    column: offset - lineStart + 1,
    text: piece.slice(newline + 1, end === -1 ? undefined : end),
  }
}

function skipHeaders(text: string): string {
  return text.slice(offsetOfLine(text, readHeaders(text).lineCount))
}
