import type { Observation } from './cell.ts'
import type { Fault } from './faults.ts'
import { type Cell, listCells } from './situations.ts'

/** Where the tables stand, from the project's folder. */
export const PAGE = 'docs/operate/faults.md'

const SECTION = /(<!-- faults -->\n).*?(<!-- \/faults -->)/s

export interface Row {
  readonly cell: Cell
  readonly seen: Observation
}

/** A service that ends at once may say in between what it does: for milliseconds, so nobody can rely on it. */
const ENDS = 'none: it ends'

const HEAD = ['Situation', '`/readyz`', 'after', 'Outcome', 'Ready again', 'after']

/** Returns the page with the tables of what was seen; cells that were not run stay as they are. */
export function writeTables(page: string, faults: readonly Fault[], rows: readonly Row[]): string {
  const cells = listCells(faults)
  if (!SECTION.test(page)) throw new Error(`${PAGE} has no <!-- faults --> section`)
  const chapters = faults.map(({ name, meaning, senseless = {} }) => {
    const notes = Object.entries(senseless)
      .map(([situation, why]) => `\nNot ${situation}: ${why}.\n`)
      .join('')
    const own = cells
      .filter(({ fault }) => fault.name === name)
      .flatMap((cell) => {
        const seen = rows.find(
          (row) => nameOf(row.cell) === nameOf(cell) && row.cell.fault.name === name,
        )
        const found = seen ? toCells(seen) : findCells(page, cell)
        return found ? [found] : []
      })
    return `## ${name[0]?.toUpperCase()}${name.slice(1)}\n\n${meaning[0]?.toUpperCase()}${meaning.slice(1)}.\n\n${toTable(HEAD, own)}\n${notes}`
  })
  return page.replace(SECTION, (_, begin, end) => `${begin}\n${chapters.join('\n')}\n${end}`)
}

/** What the page says of the cell, without the times; undefined if it does not have it. */
export function readRow(page: string, cell: Cell): string | undefined {
  const cells = findCells(page, cell)
  return cells && withoutTimes(cells)
}

/** Whether the page says that `/readyz` changes. */
export function saysThatItChanges(page: string, cell: Cell): boolean {
  const shows = findCells(page, cell)?.[1]
  return shows !== undefined && !shows.startsWith('still') && shows !== ENDS
}

function findCells(page: string, cell: Cell): string[] | undefined {
  const title = `## ${cell.fault.name}`.toLowerCase()
  const chapter = page
    .split(/^(?=## )/m)
    .find((text) => text.toLowerCase().startsWith(`${title}\n`))
  return chapter
    ?.split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((text) => text.trim()),
    )
    .find(([name]) => name === nameOf(cell))
}

/** What the service says when it goes on with its work. */
const GOES_ON = new Set(['waiting_for_lock', 'migrating', 'ready'])

/**
 * Describes what was seen, without the times. A server that is back at once may be lost for so short a time that
 * only what follows is seen: then what the page says of it counts.
 */
export function describeRow(row: Row, page: string): string {
  const cells = toCells(row)
  const said = findCells(page, row.cell)?.[1]
  if (row.cell.fault.isMomentary && GOES_ON.has(row.seen.shows) && said) cells[1] = said
  return withoutTimes(cells)
}

function withoutTimes(cells: readonly string[]): string {
  return cells.filter((_, column) => HEAD[column] !== 'after').join(' | ')
}

function toCells({ cell, seen }: Row): string[] {
  const shows = seen.shows
    .split(', then ')
    .map((reason) => `\`${reason}\``)
    .join(', then ')
  const whatItShows = seen.showsMs === undefined ? `still ${shows}` : shows
  return [
    nameOf(cell),
    ...(cell.length === 'any' ? [ENDS, ''] : [whatItShows, formatTime(seen.showsMs)]),
    seen.outcome,
    seen.heals,
    formatTime(seen.healsMs),
  ]
}

function nameOf({ situation, length }: Cell): string {
  return length === 'long' ? `${situation.name}, beyond the limit` : situation.name
}

function formatTime(ms: number | undefined): string {
  return ms === undefined ? '' : `${(ms / 1000).toFixed(1)} s`
}

/** Lays a Markdown table out as the formatter does. */
function toTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...rows].map((cells) => cells[column]?.length ?? 0)),
  )
  const rule = widths.map((width) => '-'.repeat(width))
  return [head, rule, ...rows]
    .map((cells) => cells.map((text, column) => text.padEnd(widths[column] ?? 0)))
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}
