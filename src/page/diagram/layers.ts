import type { Box, Edge } from './boxes.ts'

/** A place in a layer: of a box, or where an edge passes between boxes. */
export interface Slot {
  readonly box: Box | undefined
  readonly height: number
  /** What edges lead to in the layer before and in the next one. */
  readonly before: Slot[]
  readonly after: Slot[]
}

export interface Layers {
  /** From left to right, each from top to bottom. */
  readonly layers: readonly (readonly Slot[])[]
  /** Where each edge passes the layers between its ends, from left to right. */
  readonly passes: ReadonlyMap<Edge, readonly Slot[]>
}

/** The height that an edge takes where it passes a layer. */
const PASS_HEIGHT = 2
const SWEEPS = 12

/**
 * Puts boxes into layers so that parents stand before their children (Sugiyama's method): a layer for each
 * box, a slot in every layer that an edge passes, and in each layer an order with few crossings.
 */
export function createLayers(boxes: readonly Box[], edges: readonly Edge[]): Layers {
  const layerOf = assignLayers(boxes, edges)
  const slotOf = new Map<string, Slot>()
  const layers: Slot[][] = []
  const addSlot = (layer: number, box?: Box): Slot => {
    const slot = { box, height: box?.height ?? PASS_HEIGHT, before: [], after: [] }
    layers[layer] ??= []
    layers[layer].push(slot)
    return slot
  }
  for (const box of boxes) slotOf.set(box.id, addSlot(layerOf.get(box.id) ?? 0, box))

  const passes = new Map<Edge, Slot[]>()
  for (const edge of edges) {
    const ends = [edge.parent, edge.child].map((id) => ({ id, layer: layerOf.get(id) ?? 0 }))
    // In a circle of keys, one of them leads back.
    const [first, last] = ends.toSorted((a, b) => a.layer - b.layer)
    if (first === undefined || last === undefined) continue
    const between: Slot[] = []
    for (let layer = first.layer + 1; layer < last.layer; layer++) between.push(addSlot(layer))
    const chain = [slotOf.get(first.id), ...between, slotOf.get(last.id)]
    chain.forEach((slot, index) => {
      const next = chain[index + 1]
      if (slot === undefined || next === undefined) return
      slot.after.push(next)
      next.before.push(slot)
    })
    passes.set(edge, between)
  }
  return { layers: orderLayers(layers), passes }
}

/** Gives each box a number that is higher than its parents', where no circle forbids it. */
function assignLayers(boxes: readonly Box[], edges: readonly Edge[]): Map<string, number> {
  const layerOf = new Map<string, number>()
  const parentsOf = new Map<string, string[]>()
  const childrenOf = new Map<string, string[]>()
  for (const { child, parent } of edges) {
    parentsOf.set(child, [...(parentsOf.get(child) ?? []), parent])
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), child])
  }
  const visiting = new Set<string>()
  const visit = (id: string): number => {
    const known = layerOf.get(id)
    if (known !== undefined) return known
    visiting.add(id)
    const parents = (parentsOf.get(id) ?? []).filter((parent) => !visiting.has(parent))
    const layer = Math.max(-1, ...parents.map(visit)) + 1
    visiting.delete(id)
    layerOf.set(id, layer)
    return layer
  }
  for (const { id } of boxes) visit(id)
  // A box without parents moves next to the first of its children.
  for (const [parent, children] of childrenOf) {
    if (parentsOf.has(parent)) continue
    layerOf.set(parent, Math.min(...children.map((child) => layerOf.get(child) ?? 0)) - 1)
  }
  return layerOf
}

/** Sorts each layer by where its neighbours are, to and fro, and keeps the order with the fewest crossings. */
function orderLayers(layers: Slot[][]): Slot[][] {
  let best = layers
  let fewest = countCrossings(layers)
  let current = layers
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const isForward = sweep % 2 === 0
    const next = [...current]
    const order = next.map((_, index) => (isForward ? index : next.length - 1 - index))
    for (const index of order) {
      const fixed = indexSlots(next[index + (isForward ? -1 : 1)] ?? [])
      const place = new Map(
        next[index]?.map((slot, own) => {
          const neighbours = isForward ? slot.before : slot.after
          const places = neighbours.map((one) => fixed.get(one) ?? own)
          return [slot, places.length === 0 ? own : mean(places)]
        }),
      )
      next[index] = next[index]?.toSorted((a, b) => (place.get(a) ?? 0) - (place.get(b) ?? 0)) ?? []
    }
    current = next
    const crossings = countCrossings(current)
    if (crossings < fewest) [best, fewest] = [current, crossings]
  }
  return best
}

function countCrossings(layers: readonly (readonly Slot[])[]): number {
  return layers.reduce((sum, layer, index) => {
    const places = indexSlots(layers[index + 1] ?? [])
    const ends = layer.flatMap((slot, from) =>
      slot.after.map((one) => ({ from, to: places.get(one) ?? 0 })),
    )
    const crossing = ends.map(
      ({ from, to }) => ends.filter((other) => other.from < from && other.to > to).length,
    )
    return sum + crossing.reduce((a, b) => a + b, 0)
  }, 0)
}

const indexSlots = (layer: readonly Slot[]) => new Map(layer.map((slot, index) => [slot, index]))

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
