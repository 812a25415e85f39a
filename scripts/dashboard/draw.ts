// Draws panels of a Grafana dashboard as plain HTML and SVG: enough to see what they show.

/** A dashboard, as far as it is drawn. */
export interface Dashboard {
  readonly title: string
  readonly panels: readonly Panel[]
}

interface Panel {
  readonly type: string
  readonly title: string
  readonly gridPos: {
    readonly h: number
    readonly w: number
    readonly x: number
    readonly y: number
  }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
  readonly options?: { readonly textMode?: string }
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit?: string
      readonly custom?: { readonly stacking?: { readonly mode: string } }
      readonly mappings?: readonly {
        readonly options: Readonly<Record<string, { readonly text: string }>>
      }[]
    }
  }
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>
  /** Unix time and value, as Prometheus writes them. */
  readonly values: readonly (readonly [number, string])[]
}

type Ask = (query: string, isInstant: boolean) => Promise<readonly Series[]>
type Point = readonly [time: number, value: number]
type Line = { readonly name: string; readonly points: readonly Point[] }

/** How many values of a series are asked for. */
export const STEPS = 300

const ROW = 38
const COLUMN = 57
const COLOURS = [
  '#7eb26d',
  '#eab839',
  '#6ed0e0',
  '#ef843c',
  '#e24d42',
  '#1f78c1',
  '#ba43a9',
  '#999',
]

export async function drawDashboard({ title, panels }: Dashboard, ask: Ask): Promise<string> {
  const drawn: string[] = []
  for (const panel of panels) drawn.push(await drawPanel(panel, ask))
  return `<!doctype html><meta charset="utf-8"><title>${title}</title><style>
    body { background: #111217; color: #ccccdc; font: 12px sans-serif; margin: 0; }
    h1 { font-size: 16px; margin: 12px 16px; }
    main { position: relative; margin: 0 10px; }
    section { position: absolute; box-sizing: border-box; background: #181b1f; border: 1px solid #2c2f36; padding: 6px 8px; overflow: hidden; }
    section.row { background: none; border: none; }
    h2 { font-size: 12px; margin: 0 0 4px; }
    .stat { font-size: 28px; text-align: center; margin-top: 22px; }
    .stat small { display: block; font-size: 12px; color: #9fa7b3; }
    text { fill: #9fa7b3; font-size: 10px; }
  </style><h1>${title}</h1><main>${drawn.join('')}</main>`
}

/** In pixels. */
export function heightOf({ panels }: Dashboard): number {
  return 50 + ROW * Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h))
}

async function drawPanel(panel: Panel, ask: Ask): Promise<string> {
  const { type, title, gridPos, targets = [], fieldConfig } = panel
  const box = `left:${gridPos.x * COLUMN}px;top:${gridPos.y * ROW}px;width:${gridPos.w * COLUMN - 6}px;height:${gridPos.h * ROW - 6}px`
  if (type === 'row') return `<section class="row" style="${box}"><h2>${title}</h2></section>`
  const lines: Line[] = []
  for (const { expr, legendFormat } of targets) {
    for (const { metric, values } of await ask(expr, type === 'stat')) {
      const name = legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '')
      const points = values.map(([time, value]) => [time, Number(value)] as const)
      lines.push({ name, points: points.filter(([, value]) => Number.isFinite(value)) })
    }
  }
  const content =
    type === 'stat'
      ? drawStats(lines, panel)
      : drawLines(lines, {
          width: gridPos.w * COLUMN - 24,
          height: gridPos.h * ROW - 62,
          unit: fieldConfig?.defaults.unit ?? '',
          isStacked: fieldConfig?.defaults.custom?.stacking?.mode === 'normal',
        })
  return `<section style="${box}"><h2>${title}</h2>${content}</section>`
}

function drawStats(lines: readonly Line[], { options, fieldConfig }: Panel): string {
  const { unit = '', mappings = [] } = fieldConfig?.defaults ?? {}
  const stats = lines.map(({ name, points }) => {
    const value = points.at(-1)?.[1] ?? Number.NaN
    const text = mappings[0]?.options[String(value)]?.text ?? format(value, unit)
    if (options?.textMode === 'name') return name
    return options?.textMode === 'value' ? text : `${text} <small>${name}</small>`
  })
  return `<div class="stat">${stats.join(' ') || 'no data'}</div>`
}

function drawLines(
  given: readonly Line[],
  {
    width,
    height,
    unit,
    isStacked,
  }: { width: number; height: number; unit: string; isStacked: boolean },
): string {
  if (given.every(({ points }) => points.length === 0)) return '<div class="stat">no data</div>'
  const times = given.flatMap(({ points }) => points.map(([time]) => time))
  const [from, to] = [Math.min(...times), Math.max(...times)]
  const sums = new Map<number, number>()
  const lines = given.map(({ name, points }) => ({
    name,
    points: points.map(([time, value]) => {
      const base = isStacked ? (sums.get(time) ?? 0) : 0
      sums.set(time, base + value)
      return [time, base + value] as const
    }),
  }))
  const top =
    Math.max(1e-9, ...lines.flatMap(({ points }) => points.map(([, value]) => value))) * 1.05
  const left = 56
  const x = (time: number) => left + ((time - from) / Math.max(1, to - from)) * (width - left)
  const y = (value: number) => height - 16 - (value / top) * (height - 24)
  const grid = [0, 0.5, 1].map((part) => {
    const at = y(top * part)
    return `<line x1="${left}" x2="${width}" y1="${at}" y2="${at}" stroke="#2c2f36"/><text x="${left - 4}" y="${at + 3}" text-anchor="end">${format(top * part, unit)}</text>`
  })
  const clocks = [from, (from + to) / 2, to].map((time, index) => {
    const anchor = ['start', 'middle', 'end'][index]
    const clock = new Date(time * 1000).toISOString().slice(11, 19)
    return `<text x="${x(time)}" y="${height - 2}" text-anchor="${anchor}">${clock}</text>`
  })
  const paths = lines.map(({ points }, index) => {
    const colour = COLOURS[index % COLOURS.length]
    return splitAtGaps(points, ((to - from) / STEPS) * 1.5).map((part) => {
      const path = part.map(([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`)
      const line = `<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.3"/>`
      if (!isStacked) return line
      const [begin, end] = [part[0]?.[0] ?? from, part.at(-1)?.[0] ?? to]
      const area = `${x(begin)},${y(0)} ${path.join(' ')} ${x(end)},${y(0)}`
      return `<polygon points="${area}" fill="${colour}" opacity="0.5"/>${line}`
    })
  })
  const legend = lines.map(
    ({ name }, index) => `<span style="color:${COLOURS[index % COLOURS.length]}">━</span> ${name}`,
  )
  return `<svg width="${width}" height="${height}">${grid.join('')}${clocks.join('')}${paths.flat().reverse().join('')}</svg><div>${legend.join(' &nbsp; ')}</div>`
}

/** Where a series has no value, nothing is drawn. */
function splitAtGaps(points: readonly Point[], longest: number): Point[][] {
  const parts: Point[][] = []
  for (const point of points) {
    const last = parts.at(-1)
    if (last === undefined || point[0] - (last.at(-1)?.[0] ?? 0) > longest) parts.push([point])
    else last.push(point)
  }
  return parts
}

function format(value: number, unit: string): string {
  if (Number.isNaN(value)) return 'no data'
  if (unit === 'bytes') return `${(value / 1024 / 1024).toFixed(0)} MiB`
  if (unit === 's')
    return value < 1 ? `${(value * 1000).toPrecision(3)} ms` : `${value.toFixed(2)} s`
  const text = String(Number(value.toPrecision(3)))
  return unit === 'reqps' ? `${text}/s` : text
}
