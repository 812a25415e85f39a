import fc from 'fast-check'
import { test } from 'tap'
import { type Box, createBoxes, type Edge } from '../../src/page/diagram/boxes.ts'
import { renderDiagram } from '../../src/page/diagram/diagram.ts'
import { layOut } from '../../src/page/diagram/layout.ts'
import { describeTable } from '../support/page.ts'

const createSchema = (tables: ReturnType<typeof describeTable>[]) => ({
  ...{ name: 's', comment: null, views: [], routines: [] },
  tables,
})

const graphs = fc.integer({ min: 1, max: 30 }).chain((count) =>
  fc.record({
    sizes: fc.array(
      fc.record({
        width: fc.integer({ min: 100, max: 400 }),
        height: fc.integer({ min: 30, max: 300 }),
      }),
      {
        minLength: count,
        maxLength: count,
      },
    ),
    keys: fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: 60 }),
  }),
)

test('boxes never overlap and lie inside the drawing, whatever refers to what', (t) => {
  fc.assert(
    fc.property(graphs, ({ sizes, keys }) => {
      const boxes = sizes.map(
        (size, index): Box => ({
          id: `b${index}`,
          title: '',
          tooltip: '',
          rows: [],
          columns: [],
          more: 0,
          isElsewhere: false,
          ...size,
        }),
      )
      const edges = keys.map(
        ([child, parent]): Edge => ({
          child: `b${child}`,
          parent: `b${parent}`,
          childColumn: '',
          parentColumn: '',
          isUnique: false,
          tooltip: '',
        }),
      )
      const { places, routes, width, height } = layOut(boxes, edges)
      const placed = boxes.map((box) => ({
        ...box,
        ...(places.get(box.id) ?? { x: Number.NaN, y: Number.NaN }),
      }))
      for (const one of placed) {
        if (
          !(
            one.x >= 0 &&
            one.y >= -0.01 &&
            one.x + one.width <= width + 0.01 &&
            one.y + one.height <= height + 0.01
          )
        )
          return false
        for (const other of placed) {
          if (one === other) continue
          const isApart =
            one.x + one.width <= other.x ||
            other.x + other.width <= one.x ||
            one.y + one.height <= other.y ||
            other.y + other.height <= one.y
          if (!isApart) return false
        }
      }
      return edges.every((edge) => edge.child === edge.parent || routes.has(edge))
    }),
    { numRuns: 300 },
  )
  t.pass()
  t.end()
})

test('a parent stands left of its children', (t) => {
  const { boxes, edges } = createBoxes(
    createSchema([
      describeTable('a', null, ['*id int', 'b_id int'], [{ of: 'b_id', to: 's.b' }]),
      describeTable('b', null, ['*id int', 'c_id int'], [{ of: 'c_id', to: 's.c' }]),
      describeTable('c', null, ['*id int']),
    ]),
  )
  const { places } = layOut(boxes, edges)
  const left = (title: string) =>
    places.get(boxes.find((box) => box.title === title)?.id ?? '')?.x ?? 0
  t.ok(left('c') < left('b') && left('b') < left('a'))
  t.end()
})

test('keys to the table itself, in a circle and to other schemas are drawn', (t) => {
  const svg = String(
    renderDiagram(
      createSchema([
        describeTable(
          'a',
          null,
          ['*id int', 'b_id int', 'up int'],
          [
            { of: 'b_id', to: 's.b' },
            { of: 'up', to: 's.a' },
          ],
        ),
        describeTable(
          'b',
          null,
          ['*id int', 'a_id int', 'far int'],
          [
            { of: 'a_id', to: 's.a' },
            { of: 'far', to: 'other.table' },
          ],
        ),
      ]),
    ),
  )
  t.equal(svg.match(/class="edge"/g)?.length, 4)
  t.match(svg, 'class="elsewhere"')
  t.match(svg, '>other.table</text>')
  t.match(svg, '<title>b (far) → table (id)</title>')
  t.match(svg, 'aria-label="Diagram of schema s: 2 tables, 4 foreign keys.')
  t.notMatch(svg, /NaN|undefined|Infinity/)
  t.end()
})

test('a box shows keys first where there are many columns, and says how many it leaves out', (t) => {
  const columns = Array.from({ length: 30 }, (_, index) => `c${index} int`)
  const { boxes } = createBoxes(
    createSchema([
      describeTable('wide', null, [...columns, '*id int', 'w int'], [{ of: 'w', to: 's.wide' }]),
    ]),
  )
  const [box] = boxes
  t.equal(box?.rows.length, 12)
  t.equal(box?.more, 20)
  t.match(box?.rows.slice(-2), [
    { name: 'id', mark: 'PK' },
    { name: 'w', mark: 'FK' },
  ])
  t.end()
})

test('long names are cut where a reader would cut them', (t) => {
  const name = (text: string) =>
    createBoxes(createSchema([describeTable(text, null, [])])).boxes[0]?.title
  t.equal(name('short'), 'short')
  t.equal(name('x'.repeat(63)), `${'x'.repeat(31)}…`)
  t.equal(name('東'.repeat(21)), `${'東'.repeat(15)}…`)
  t.equal(name('👩‍👩‍👧'.repeat(2)), '👩‍👩‍👧'.repeat(2))
  t.equal(name('a\u202Eb'), 'a⟨U+202E⟩b')
  t.end()
})
