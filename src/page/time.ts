import { type Html, html } from './html.ts'

/** A moment as both readers and machines take it: `2026-11-26 17:03 UTC`, and how long ago that was. */
export function moment(iso: string, now: Date): Html {
  return html`<time datetime="${iso}">${ago(new Date(iso), now)}<span class="exact">${formatUtc(iso)}</span></time>`
}

/** Returns `2026-11-26 17:03 UTC`. */
export function formatUtc(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`
}

const UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const

/** Returns `3 hours ago`, in the largest unit; a page without changes reads the same for a minute. */
export function ago(then: Date, now: Date): string {
  const seconds = (now.getTime() - then.getTime()) / 1000
  return seconds < 60 ? 'just now' : `${inLargestUnit(seconds)} ago`
}

/** Returns `3 hours`, `less than a minute`. */
export function inLargestUnit(seconds: number): string {
  for (const [unit, length] of UNITS) {
    const count = Math.floor(seconds / length)
    if (count >= 1) return plural(count, unit)
  }
  return 'less than a minute'
}

/** Returns a duration that was measured: `2.3 ms`, `41 ms`, `1.2 s`, `3 minutes`. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(1))} s`
  return inLargestUnit(ms / 1000)
}

/** Returns `1 table`, `2 tables`, `no tables`. */
export function plural(count: number, noun: string): string {
  const number = count === 0 ? 'no' : formatCount(count)
  return `${number} ${noun}${count === 1 ? '' : 's'}`
}

/** Returns `1,234,567`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** Returns `8 KiB`, `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1)
  const value = bytes / 1024 ** power
  return `${value < 10 ? Number(value.toFixed(1)) : formatCount(value)} ${units[power]}`
}
