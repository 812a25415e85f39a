import { toMarkdownTable } from '../../../scripts/markdown-table.ts'
import { FAULTS } from '../faults/faults.ts'
import type { Cell, Observation } from './cell.ts'
import { SITUATIONS } from './situations.ts'

/** Where the table stands, from the project's folder. */
export const PAGE = 'docs/use/test-databases.md'

const SECTION = /(<!-- lending -->\n).*?(<!-- \/lending -->)/s
const HEAD = ['Fault', 'While', '`POST`', '`GET`', '`DELETE`', 'Lends again after']
const ANY = 'any of them'

/** What was answered in one cell; several where that depends on the moment. */
export interface Answers {
  readonly post: readonly string[]
  readonly get: readonly string[]
  /** None where nothing is lent. */
  readonly delete: readonly string[]
  /** The longest. */
  readonly healsMs: number
}

const METHODS = ['post', 'get', 'delete'] as const

export function toAnswers({ healsMs, ...seen }: Observation): Answers {
  const listOf = (answer: string | undefined) => (answer === undefined ? [] : [answer])
  return { post: [seen.post], get: [seen.get], delete: listOf(seen.delete), healsMs }
}

/** Reads what the page says of a cell; undefined if it does not have it. */
export function readAnswers(page: string, { fault, situation }: Cell): Answers | undefined {
  const row = (SECTION.exec(page)?.[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((text) => text.trim()))
    .find(
      ([, name, names = '']) =>
        name === fault.name && (names === ANY || names.split(', ').includes(situation.name)),
    )
  if (row === undefined) return undefined
  const [post, get, remove] = row.slice(3, 6).map((text) => text.split(' or ').filter(Boolean))
  return {
    post: post ?? [],
    get: get ?? [],
    delete: situation.lends ? (remove ?? []) : [],
    healsMs: 1000 * Number.parseFloat(row[6] ?? '0'),
  }
}

/** Before the service knows of a fault, it only knows that a session was lost. */
const EARLY = new Map([['503 `database_lost`', '503 `not_ready`']])

/** Describes what was seen that the page does not say, one line each. */
export function findDifferences(page: string, cell: Cell, seen: Answers): string[] {
  const said = readAnswers(page, cell)
  return METHODS.flatMap((method) =>
    seen[method]
      .filter((answer) => !said?.[method].includes(EARLY.get(answer) ?? answer))
      .map((answer) => `${method}: ${answer}, not ${said?.[method].join(' or ')}`),
  )
}

/** Returns the page with what was seen as well; situations with the same answers share a row. */
export function addAnswers(page: string, cell: Cell, seen: Answers): string {
  const rows = FAULTS.flatMap((fault) => {
    const groups: { names: string[]; answers: Answers }[] = []
    for (const situation of SITUATIONS) {
      const isSeen = fault.name === cell.fault.name && situation.name === cell.situation.name
      const said = readAnswers(page, { fault, situation })
      const answers = isSeen ? unite(said, seen) : said
      if (answers === undefined) continue
      const same = groups.find((group) => isSame(group.answers, answers))
      if (same === undefined) groups.push({ names: [situation.name], answers })
      else {
        same.names.push(situation.name)
        same.answers = unite(same.answers, answers)
      }
    }
    return groups.map(({ names, answers }) => [
      fault.name,
      names.length === SITUATIONS.length ? ANY : names.join(', '),
      ...METHODS.map((method) => answers[method].join(' or ')),
      `${(answers.healsMs / 1000).toFixed(1)} s`,
    ])
  })
  if (!SECTION.test(page)) throw new Error(`${PAGE} has no <!-- lending --> section`)
  return page.replace(
    SECTION,
    (_, begin, end) => `${begin}\n${toMarkdownTable(HEAD, rows)}\n\n${end}`,
  )
}

/** Where nothing is lent, any answer to DELETE fits. */
function isSame(one: Answers, other: Answers): boolean {
  return METHODS.every(
    (method) =>
      one[method].length === 0 ||
      other[method].length === 0 ||
      String(one[method]) === String(other[method]),
  )
}

function unite(one: Answers | undefined, other: Answers): Answers {
  const both = (method: (typeof METHODS)[number]) =>
    [...new Set([...(one?.[method] ?? []), ...other[method]])].sort()
  return {
    post: both('post'),
    get: both('get'),
    delete: both('delete'),
    healsMs: Math.max(one?.healsMs ?? 0, other.healsMs),
  }
}
