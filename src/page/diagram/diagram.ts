import type { SchemaOverview } from '../../catalog/overview.ts'
import { type Html, html } from '../html.ts'
import { plural } from '../time.ts'
import { BOX, type Box, createBoxes, type Edge } from './boxes.ts'
import { layOut, type Place } from './layout.ts'

const MARGIN = 2

/** How wide a drawing may be that shrinks with the window rather than scroll, and how far: see the style. */
const SHRINKABLE = { from: 880, to: 1300 }

/**
 * Draws the tables of a schema and the keys between them. To a screen reader it is one image that says
 * what it shows; the list in words stands beside it.
 */
export function renderDiagram(schema: SchemaOverview): Html {
  const { boxes, edges } = createBoxes(schema)
  const drawing = layOut(boxes, edges)
  const boxOf = new Map(boxes.map((box) => [box.id, box]))
  const placed = (id: string): Placed => ({
    box: boxOf.get(id) as Box,
    ...(drawing.places.get(id) as Place),
  })
  const [width = 0, height = 0] = [drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN].map(
    Math.ceil,
  )
  const label =
    `Diagram of schema ${schema.name}: ${plural(schema.tables.length, 'table')}, ` +
    `${plural(edges.length, 'foreign key')}. The same follows in words.`
  return html`<svg class="diagram${width > SHRINKABLE.from && width <= SHRINKABLE.to && ' shrinks'}" role="img" aria-label="${label}" width="${width}" height="${height}" viewBox="${-MARGIN} ${-MARGIN} ${width} ${height}">
${edges.map((edge) => renderEdge(edge, placed(edge.child), placed(edge.parent), drawing.routes.get(edge)))}
${boxes.map(({ id }) => renderBox(placed(id)))}
</svg>`
}

interface Placed extends Place {
  readonly box: Box
}

function renderBox({ box, x, y }: Placed): Html {
  const { width, height, title, tooltip, isElsewhere, rows, more } = box
  const rowY = (index: number) => BOX.headHeight + BOX.padding + (index + 0.5) * BOX.rowHeight
  return html`<g transform="translate(${round(x)} ${round(y)})"${isElsewhere && html` class="elsewhere"`}>
<title>${tooltip}</title>
<rect class="box" width="${width}" height="${height}" rx="6"/>
${height > BOX.headHeight && html`<path class="head" d="M0 ${BOX.headHeight}H${width}"/>`}
<text class="name" x="12" y="${BOX.headHeight / 2}">${title}</text>
${rows.map(
  (
    { name, type, mark },
    index,
  ) => html`<text class="column${mark !== '' && ' key'}" y="${rowY(index)}"><tspan class="mark" x="12">${mark}</tspan><tspan x="${12 + BOX.markWidth}">${name}</tspan></text><text class="type" x="${width - 12}" y="${rowY(index)}">${type}</text>
`,
)}${more > 0 && html`<text class="type more" x="${12 + BOX.markWidth}" y="${rowY(rows.length)}">${plural(more, 'more column')}</text>`}
</g>
`
}

/** Room for the foot and the bar at the ends of an edge. */
const STUB = 12
const FOOT = 9

/** Draws a key from the row of its column in the parent to that in the child. */
function renderEdge(
  { childColumn, parentColumn, isUnique, tooltip }: Edge,
  child: Placed,
  parent: Placed,
  route: readonly Place[] | undefined,
): Html {
  const childSide = sideTowards(child, parent)
  const parentSide = child.box === parent.box ? childSide : sideTowards(parent, child)
  const to = anchor(child, childColumn, childSide)
  const from = anchor(parent, parentColumn, parentSide)
  const points = [
    { x: from.x + parentSide * STUB, y: from.y },
    ...(route ?? [{ x: to.x + childSide * 2 * STUB, y: (from.y + to.y) / 2 }]),
    { x: to.x + childSide * STUB, y: to.y },
  ]
  const foot = isUnique
    ? bar(to, childSide)
    : [-5, 5].map((dy) => `M${at(to.x + childSide * FOOT, to.y)}L${at(to.x, to.y + dy)}`).join('')
  return html`<g class="edge"><title>${tooltip}</title><path d="M${at(from.x, from.y)}${curve(points)}L${at(to.x, to.y)}${bar(from, parentSide)}${foot}"/></g>
`
}

/** Which side of a box looks towards another: 1 right, -1 left. */
function sideTowards(one: Placed, other: Placed): 1 | -1 {
  return one.x > other.x + other.box.width ? -1 : 1
}

function anchor({ box, x, y }: Placed, column: string, side: 1 | -1): Place {
  const index = box.columns.indexOf(column)
  const rowY = BOX.headHeight + BOX.padding + (index + 0.5) * BOX.rowHeight
  return { x: side === 1 ? x + box.width : x, y: y + (index < 0 ? BOX.headHeight / 2 : rowY) }
}

const bar = ({ x, y }: Place, side: 1 | -1) => `M${at(x + side * 6, y - 5)}v10`

/** A line through all points that leaves and reaches each of them horizontally. */
function curve(points: readonly Place[]): string {
  return points
    .map((point, index) => {
      const before = points[index - 1]
      if (before === undefined) return `L${at(point.x, point.y)}`
      const middle = (before.x + point.x) / 2
      return `C${at(middle, before.y)} ${at(middle, point.y)} ${at(point.x, point.y)}`
    })
    .join('')
}

const round = (length: number) => Number(length.toFixed(1))
const at = (x: number, y: number) => `${round(x)} ${round(y)}`
