import { readFileSync } from 'node:fs'
import { readHeaders } from '../files/headers.ts'
import { countNewlines, offsetOfLine } from '../files/lines.ts'

/** A line of a migration's file. */
export interface Location {
  readonly line: number
  readonly text: string
}

/** What graphile-migrate runs of a file, before placeholders are replaced. */
export interface LoadedBody {
  readonly text: string
  /** The line of the file on which it begins, counted from 1. */
  readonly line: number
}

const MAX_TEXT_LENGTH = 200

/** Reads a committed file's text below its headers. */
export function loadBody(path: string): LoadedBody {
  const file = readFileSync(path, 'utf8')
  let start = offsetOfLine(file, readHeaders(file).lineCount)
  while (/\s/.test(file.charAt(start))) start++
  return { text: `${file.slice(start).trimEnd()}\n`, line: 1 + countNewlines(file, 0, start) }
}

/** Finds the line of an offset in the text that was sent, in which placeholders are replaced. */
export function locate(
  body: LoadedBody,
  placeholders: Readonly<Record<string, string>>,
  sentOffset: number,
): Location {
  const offset = Math.min(
    findOriginalOffset(body.text, placeholders, sentOffset),
    body.text.length - 1,
  )
  const start = body.text.lastIndexOf('\n', offset - 1) + 1
  const end = body.text.indexOf('\n', offset)
  return toLocation({
    line: body.line + countNewlines(body.text, 0, offset),
    text: body.text.slice(start, end === -1 ? undefined : end),
  })
}

/** Shortens the text of a line. */
export function toLocation({ line, text }: Location): Location {
  return { line, text: text.trim().slice(0, MAX_TEXT_LENGTH) }
}

/** Converts PostgreSQL's position, in characters from 1, into an offset in UTF-16 units. */
export function toOffset(text: string, position: number): number {
  let offset = 0
  for (let left = position - 1; left > 0 && offset < text.length; left--) {
    offset += isHighSurrogate(text.charCodeAt(offset)) ? 2 : 1
  }
  return offset
}

/** The text that the tool sends for this one: a placeholder's name ends where the word ends. */
export function replacePlaceholders(
  text: string,
  placeholders: Readonly<Record<string, string>>,
): string {
  const names = Object.keys(placeholders)
  if (names.length === 0) return text
  const pattern = new RegExp(`(?:${names.join('|')})\\b`, 'g')
  return text.replace(pattern, (name) => placeholders[name] ?? name)
}

/** The offset before placeholders were replaced. */
export function findOriginalOffset(
  text: string,
  placeholders: Readonly<Record<string, string>>,
  sentOffset: number,
): number {
  const names = Object.keys(placeholders)
  if (names.length === 0) return sentOffset
  let at = 0
  let left = sentOffset
  for (const match of text.matchAll(new RegExp(`(?:${names.join('|')})\\b`, 'g'))) {
    const literal = match.index - at
    if (left < literal) break
    const value = placeholders[match[0]] ?? ''
    if (left < literal + value.length) return match.index
    left -= literal + value.length
    at = match.index + match[0].length
  }
  return at + left
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00
}
