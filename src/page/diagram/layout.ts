import type { Box, Edge } from './boxes.ts'
import { createLayers, type Slot } from './layers.ts'

export interface Place {
  /** Of the upper left corner. */
  readonly x: number
  readonly y: number
}

export interface Drawing {
  readonly width: number
  readonly height: number
  /** Of each box, by its id. */
  readonly places: ReadonlyMap<string, Place>
  /** Of each edge that is not of a table to itself: the points between the layers of parent and child. */
  readonly routes: ReadonlyMap<Edge, readonly Place[]>
}

const GAP = 28
const LAYER_GAP = 72
const PLACING_SWEEPS = 8
/** What a desk's screen has room for. */
const PREFERRED_WIDTH = 1080

interface Part {
  readonly boxes: readonly Box[]
  readonly edges: readonly Edge[]
}

/**
 * Lays a schema out: each group of tables that keys connect in layers, and the groups in rows. It takes a few
 * milliseconds; dagre takes 100 for 60 tables, and no probe is answered meanwhile.
 */
export function layOut(boxes: readonly Box[], edges: readonly Edge[]): Drawing {
  const parts = findParts(boxes, edges)
    .map(layOutPart)
    .sort((a, b) => b.routes.size - a.routes.size || b.height - a.height)
  const widest = Math.max(PREFERRED_WIDTH, ...parts.map(({ width }) => width))

  const places = new Map<string, Place>()
  const routes = new Map<Edge, readonly Place[]>()
  const used = { width: 0, height: 0 }
  const row = { x: 0, y: 0, height: 0 }
  for (const part of parts) {
    if (row.x > 0 && row.x + part.width > widest) {
      Object.assign(row, { x: 0, y: row.y + row.height + GAP, height: 0 })
    }
    const { x, y } = row
    const move = (place: Place) => ({ x: place.x + x, y: place.y + y })
    for (const [id, place] of part.places) places.set(id, move(place))
    for (const [edge, points] of part.routes) routes.set(edge, points.map(move))
    row.height = Math.max(row.height, part.height)
    used.width = Math.max(used.width, x + part.width)
    used.height = Math.max(used.height, y + part.height)
    row.x += part.width + GAP
  }
  return { ...used, places, routes }
}

/** Splits a graph into those that nothing connects. */
function findParts(boxes: readonly Box[], edges: readonly Edge[]): Part[] {
  const groups = new Map(boxes.map((box) => [box.id, new Set([box.id])]))
  for (const { child, parent } of edges) {
    const [one, other] = [groups.get(child), groups.get(parent)]
    if (one === undefined || other === undefined || one === other) continue
    for (const id of other) groups.set(id, one.add(id))
  }
  return [...new Set(groups.values())].map((ids) => ({
    boxes: boxes.filter(({ id }) => ids.has(id)),
    edges: edges.filter(({ child }) => ids.has(child)),
  }))
}

function layOutPart({ boxes, edges }: Part): Drawing {
  // A key of a table to itself is drawn beside the table.
  const between = edges.filter(({ child, parent }) => child !== parent)
  const { layers, passes } = createLayers(boxes, between)
  const centres = placeVertically(layers)
  const columns: { readonly left: number; readonly right: number }[] = []
  const columnOf = new Map<Slot, (typeof columns)[number]>()
  for (const layer of layers) {
    const left = columns.length === 0 ? 0 : (columns.at(-1)?.right ?? 0) + LAYER_GAP
    const column = { left, right: left + Math.max(...layer.map(({ box }) => box?.width ?? 0)) }
    columns.push(column)
    for (const slot of layer) columnOf.set(slot, column)
  }

  const places = new Map<string, Place>()
  let height = 0
  for (const [slot, centre] of centres) {
    height = Math.max(height, centre + slot.height / 2)
    const { left = 0, right = 0 } = columnOf.get(slot) ?? {}
    const { box } = slot
    if (box === undefined) continue
    places.set(box.id, { x: (left + right - box.width) / 2, y: centre - box.height / 2 })
  }
  const pass = (slot: Slot) => {
    const { left = 0, right = 0 } = columnOf.get(slot) ?? {}
    return [left, right].map((x) => ({ x, y: centres.get(slot) ?? 0 }))
  }
  return {
    width: (columns.at(-1)?.right ?? 0) + (between.length < edges.length ? GAP : 0),
    height,
    places,
    routes: new Map(
      between.map((edge) => {
        const points = (passes.get(edge) ?? []).flatMap(pass)
        const [from, to] = [places.get(edge.parent), places.get(edge.child)]
        return [edge, (from?.x ?? 0) <= (to?.x ?? 0) ? points : points.toReversed()]
      }),
    ),
  }
}

/** Finds a height for the centre of each slot: near its neighbours', in the order of its layer. */
function placeVertically(layers: readonly (readonly Slot[])[]): Map<Slot, number> {
  const centres = new Map<Slot, number>()
  for (const layer of layers) {
    let y = 0
    for (const slot of layer) {
      centres.set(slot, y + slot.height / 2)
      y += slot.height + GAP
    }
  }
  for (let sweep = 0; sweep < PLACING_SWEEPS; sweep++) {
    for (const layer of sweep % 2 === 0 ? layers : layers.toReversed()) {
      const wanted = layer.map((slot) => {
        const near = [...slot.before, ...slot.after].map((one) => centres.get(one) ?? 0)
        return near.length === 0
          ? (centres.get(slot) ?? 0)
          : near.reduce((a, b) => a + b, 0) / near.length
      })
      spread(layer, wanted).forEach((centre, index) => {
        centres.set(layer[index] as Slot, centre)
      })
    }
  }
  const top = Math.min(...[...centres].map(([{ height }, centre]) => centre - height / 2))
  return new Map([...centres].map(([slot, centre]) => [slot, centre - top]))
}

/**
 * Returns the centres that are nearest to the wanted ones and far enough from each other: slots that would
 * overlap move together, as a block, to the mean of what they want.
 */
function spread(layer: readonly Slot[], wanted: readonly number[]): number[] {
  let offset = 0
  const offsets = layer.map(({ height }, index) => {
    if (index > 0) offset += ((layer[index - 1]?.height ?? 0) + height) / 2 + GAP
    return offset
  })
  const blocks: { sum: number; weight: number; count: number }[] = []
  layer.forEach(({ box }, index) => {
    // An edge that passes straight is worth more than a box in the middle of its neighbours.
    const weight = box === undefined ? 3 : 1
    let block = { sum: weight * ((wanted[index] ?? 0) - (offsets[index] ?? 0)), weight, count: 1 }
    for (let last = blocks.at(-1); last !== undefined; last = blocks.at(-1)) {
      if (last.sum / last.weight < block.sum / block.weight) break
      blocks.pop()
      block = {
        sum: last.sum + block.sum,
        weight: last.weight + block.weight,
        count: last.count + block.count,
      }
    }
    blocks.push(block)
  })
  const moved = blocks.flatMap(({ sum, weight, count }) => Array<number>(count).fill(sum / weight))
  return moved.map((start, index) => start + (offsets[index] ?? 0))
}
