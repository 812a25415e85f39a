import { findFreePort } from '../../dev/ports.ts'
import { type Checkout, createCheckout, type Program } from './checkout.ts'
import { normalize, withoutNpm } from './plain.ts'

/** What two terminals showed while one change was made. */
export interface Recordings {
  /** From the edit to the commit of git. */
  readonly change: string
  /** The loop: a mistake, its repair, and another branch. */
  readonly loop: string
}

const FIXTURE = 'migrations/fixtures/commandbus/functions/sp_start_batch.sql'
const TEST = 'test/schema/commandbus/functions/sp_start_batch.test.ts'
const MESSAGE = 'Start a batch without waiting'

const NEW_TEST = `  t.test('is false at once while another session starts the batch', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })

    await withTransaction(pool, async (first) => {
      await bus.on(first).startBatch(batchId)
      t.equal(await bus.startBatch(batchId), false)
    })
  })
})
`

/** Makes one real change in a throw-away clone. It takes half a minute. */
export async function record(): Promise<Recordings> {
  const checkout = createCheckout()
  try {
    const recordings = await makeChange(checkout)
    return {
      change: normalize(recordings.change, checkout.dir),
      loop: normalize(recordings.loop, checkout.dir),
    }
  } finally {
    await checkout.remove()
  }
}

async function makeChange(checkout: Checkout): Promise<Recordings> {
  const change: string[] = []
  const loop: string[] = []
  const run = async (command: string, ...shownIn: string[][]) => {
    const shown = `$ ${command}\n${withoutNpm(await checkout.run(command))}`.trim()
    for (const lines of shownIn) lines.push(shown)
  }
  const say = (text: string, ...shownIn: string[][]) => {
    for (const lines of shownIn) lines.push(`# ${text}`)
  }

  await run('git switch -c start-without-waiting', change)
  // Another loop that starts at the same moment would show in the recording.
  const ports = { PORT: await findAnyPort(), EMBEDDED_PORT: await findAnyPort() }
  const started = await startLoop(checkout, ports)
  loop.push(`$ npm run dev\n${started.news()}`)
  change.push(`$ npm run dev\n…\n${lastLine(loop)}`)

  const committed = checkout.read(FIXTURE)
  const good = committed.replace('p_wait => true', 'p_wait => false')
  checkout.write(FIXTURE, good.replace('p_batch_id,', 'p_batch,'))
  await started.program.prints(/42703.*\n.*\n *\^/)
  say('sp_start_batch.sql: it should no longer wait; saved with a mistake', loop)
  loop.push(started.news())
  checkout.write(FIXTURE, good)
  await started.program.prints(/sp_start_batch\.sql: function .*\n/)
  const live = started.news()
  say('repaired', loop)
  say('saved: sp_start_batch.sql should no longer wait', change)
  for (const lines of [loop, change]) lines.push(live)

  await run('npm run test:sql -- sp_start_batch', change)
  const test = checkout.read(TEST)
  const last = test.lastIndexOf('  t.test(')
  checkout.write(TEST, test.slice(0, last) + NEW_TEST)
  say('the last test waited; now it says what the change is for', change)
  await run('npm run test:sql -- sp_start_batch', change)
  await run(`npm run db:commit -- "${MESSAGE}"`, change)
  say('npm run db:commit, in another terminal: what it commits is live already', loop)
  await run(`git add --all && git commit --message "${MESSAGE}"`, change)
  await run('git show --stat=100 --format=', change)

  say('Ctrl-C, and the other branch', loop)
  await started.program.interrupt()
  await run('git switch main', loop)
  const other = await startLoop(checkout, ports)
  loop.push(`$ npm run dev\n${other.news()}`)
  await other.program.interrupt()
  return { change: change.join('\n'), loop: loop.join('\n') }
}

/** Runs `npm run dev`; `news` is what it has printed since it was asked last. */
async function startLoop(
  checkout: Checkout,
  ports: Readonly<Record<string, string>>,
): Promise<{ program: Program; news: () => string }> {
  const program = checkout.start('npm run dev', ports)
  await program.prints('watching ')
  let shown = 0
  const news = () => {
    const text = program.output()
    const added = text.slice(shown)
    shown = text.length
    return withoutNpm(added)
  }
  return { program, news }
}

const findAnyPort = async () => String(await findFreePort('127.0.0.1', 0))

const lastLine = (lines: readonly string[]) => lines.at(-1)?.split('\n').at(-1) ?? ''
