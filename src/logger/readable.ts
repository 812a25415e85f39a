import { prettyFactory } from 'pino-pretty'

/** Members of a line that pino-pretty writes itself, or that stand in the message. */
const NOT_FACTS = new Set(['level', 'time', 'msg', 'err'])
/** Facts that need no name. */
const NAMELESS = new Set(['migration', 'progress', 'detail', 'reason', 'durationMs', 'elapsedMs'])

/** Creates the format of the log on a terminal: a JSON line becomes a line for people. */
export function createReadableFormat({ color }: { readonly color: boolean }) {
  return prettyFactory({
    colorize: color,
    translateTime: 'SYS:HH:MM:ss',
    hideObject: true,
    messageFormat: (log) => escapeControls(describeLine(log)),
  })
}

/** `migration applied: 000002-tables.sql, 2 of 2, 93 ms` */
function describeLine({ msg, err, ...rest }: Record<string, unknown>): string {
  const facts = Object.entries(rest)
    .filter(([key]) => !NOT_FACTS.has(key))
    .map(([key, value]) => describeFact(key, value))
  return [
    [msg, facts.join(', ')].filter(Boolean).join(': '),
    ...(err === undefined ? [] : describeError(err)),
  ].join('\n    ')
}

function describeFact(key: string, value: unknown): string {
  if (key === 'blockers' && Array.isArray(value)) {
    return `blocked by ${value.map(describeBlocker).join('; ')}`
  }
  const isTime = key.endsWith('Ms') && typeof value === 'number'
  const text = isTime ? formatDuration(value) : formatValue(value)
  if (NAMELESS.has(key)) return text
  return `${isTime ? key.slice(0, -2) : key} ${text}`
}

function describeBlocker(blocker: Record<string, unknown>): string {
  const { pid, gid, application, state, ageMs, query } = blocker
  const facts = [
    application,
    state,
    typeof ageMs === 'number' ? formatDuration(ageMs) : undefined,
    query,
  ]
  const known = facts.filter(Boolean).join(', ')
  return `${pid ? `pid ${pid}` : `prepared transaction ${gid}`}${known ? ` (${known})` : ''}`
}

/** The message, and a line for each further member; of an unforeseen error, the stack. */
function describeError(err: unknown): string[] {
  if (typeof err !== 'object' || err === null) return [String(err)]
  const { type: _, message, stack, ...rest } = err as Record<string, unknown>
  const text = typeof stack === 'string' ? stack : String(message)
  return [
    ...text.split('\n').map((line) => line.trim()),
    ...Object.entries(rest)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([key, value]) => `${key}: ${formatValue(value)}`),
  ]
}

function formatValue(value: unknown): string {
  if (typeof value === 'string') return value
  const isList = Array.isArray(value) && value.every((item) => typeof item !== 'object')
  return isList ? value.join(' ') : JSON.stringify(value)
}

/** `87 ms`, `1.7 s`, `3 min 5 s` */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  const seconds = milliseconds / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`
}

/** What is not shown, and changes how the rest is: control characters and those that set a direction. */
const CONTROL = /[^\P{Cc}\n]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** A text from the database must neither give the terminal commands nor look like a line of its own. */
function escapeControls(text: string): string {
  return text.replace(CONTROL, toEscape).replace(/\n(?! {4})/g, '\n    ')
}

function toEscape(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (code > 0xff) return `\\u${code.toString(16).padStart(4, '0')}`
  return JSON.stringify(character).slice(1, -1)
}
