// Speaks enough of PostgreSQL's protocol for the service to start on it, where there is no PostgreSQL: in
// the build of the image. It knows one table, the history of migrations.
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'

const SSL_REQUEST = 80877103
const INSERT =
  /insert into graphile_migrate\.migrations .*values \('([^']+)', (null|'[^']*'), '([^']+)'\)/s

/** The first of these that a statement contains answers it; any other statement returns no rows. */
const ANSWERS = [
  [
    '"isStandby"',
    ({ pid }) => [
      {
        ...{ version: '17.0', major: 17, encoding: 'UTF8', isStandby: false, isReadOnly: false },
        ...{ pid, applied: 1 },
      },
    ],
  ],
  ['"isAcquired"', () => [{ isAcquired: true, isToolIdle: true }]],
  ['"isEmpty"', ({ history }) => [{ isEmpty: history.length === 0 }]],
  ['as locked', () => [{ locked: true }]],
  ['holds_tool_lock', () => [STATE]],
  ['system_identifier', () => [{ identity: '1/1' }]],
  ['as "recordedAs"', ({ history }) => history],
  ['as fingerprint', ({ history }) => [fingerprint(history)]],
  ['mayDelete', () => []],
  [
    '"mayUse"',
    (session) => [{ role: 'user', isThere: formatOf(session) !== undefined, ...RIGHTS }],
  ],
  ['from provisioning.record_format', (session) => [{ format: formatOf(session) }]],
  ['"isOfThisHistory"', (session) => [{ format: formatOf(session), ...RECORD }]],
]

const RIGHTS = { mayUse: true, mayCreate: true }
const RECORD = {
  ...{ isRunning: false, isRecorded: true, isOfThisHistory: true, isCurrentKnown: true },
  ...{ recordedMajor: 17, serverMajor: 17, routinesStamp: '1', othersStamp: '1' },
}

const STATE = { defaults: '', has_login_trigger: false, holds_tool_lock: true, other_locks: 0 }

/** Longer than the service works between two messages, so that what it sends at about the same time is here. */
const SILENCE_MS = 20

/** Starts the server on a free port of this machine. It answers in the same order however busy the machine is. */
export async function startStandInServer() {
  const history = []
  const sockets = new Set()
  const inOrder = createOrder()
  let lastPid = 0
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    serve(socket, { pid: ++lastPid, history, seen, inOrder })
  })
  const seen = []
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `postgres://user:password@127.0.0.1:${server.address().port}/database`,
    /** How many statements with this text were run. */
    count: (text) => seen.filter((statement) => statement.includes(text)).length,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** Once all sessions have been silent, runs the work of one: of that which connected first. */
function createOrder() {
  const waiting = []
  let timer
  const wait = () => {
    clearTimeout(timer)
    timer = setTimeout(runOne, SILENCE_MS)
  }
  function runOne() {
    waiting.sort((one, other) => one.pid - other.pid)
    waiting.shift()?.work()
    if (waiting.length > 0) wait()
  }
  return (pid, work) => {
    waiting.push({ pid, work })
    wait()
  }
}

function serve(socket, session) {
  let rest = Buffer.alloc(0)
  let hasStarted = false
  let isInTransaction = false
  let prepared = ''

  socket.on('data', (data) => session.inOrder(session.pid, () => read(data)))

  function read(data) {
    rest = Buffer.concat([rest, data])
    while (rest.length >= 5) {
      // The first messages have no type.
      const start = hasStarted ? 1 : 0
      const length = rest.readInt32BE(start) + start
      if (rest.length < length) return
      const message = rest.subarray(0, length)
      rest = rest.subarray(length)
      if (hasStarted) receive(String.fromCharCode(message[0]), message.subarray(5))
      else begin(message)
    }
  }

  function begin(message) {
    if (message.readInt32BE(4) === SSL_REQUEST) {
      socket.write('N')
      return
    }
    hasStarted = true
    send('R', int32(0))
    send('S', text('standard_conforming_strings'), text('on'))
    send('S', text('client_encoding'), text('UTF8'))
    send('K', int32(session.pid), int32(0))
    ready()
  }

  function receive(type, body) {
    if (type === 'X') socket.end()
    else if (type === 'Q') {
      // The service separates statements of its own in this way; a file's text is one statement here.
      for (const statement of body.toString('utf8', 0, body.length - 1).split(/;\s/)) run(statement)
      ready()
    } else if (type === 'P') prepared = body.toString('utf8')
    else if (type === 'E') run(prepared, { isPrepared: true })
    else if (type === 'S') ready()
  }

  function run(statement, { isPrepared = false } = {}) {
    session.seen.push(statement)
    const [, hash, previousHash, recordedAs] = INSERT.exec(statement) ?? []
    if (hash !== undefined) {
      const previous = previousHash === 'null' ? null : previousHash.slice(1, -1)
      session.history.push({ recordedAs, hash, previousHash: previous, appliedAt: '2026-01-01' })
    }
    const [, answer] = ANSWERS.find(([part]) => statement.includes(part)) ?? []
    const rows = answer?.(session) ?? []
    const [verb = ''] = /^\s*\w+/.exec(statement) ?? []
    const command = verb.trim().toUpperCase()
    if (command === 'BEGIN') isInTransaction = true
    if (command === 'COMMIT' || command === 'ROLLBACK') isInTransaction = false
    if (isPrepared) {
      send('1')
      send('2')
    }
    if (rows.length > 0) sendRows(rows)
    else if (isPrepared) send('n')
    send('C', text(command === 'SELECT' ? `SELECT ${rows.length}` : command))
  }

  function sendRows(rows) {
    const columns = Object.entries(rows[0]).flatMap(([name, value]) => [
      ...[text(name), int32(0), int16(0), int32(typeOf(value)), int16(-1), int32(-1), int16(0)],
    ])
    send('T', int16(Object.keys(rows[0]).length), ...columns)
    for (const row of rows) {
      const values = Object.values(row).flatMap((value) => {
        if (value === null) return [int32(-1)]
        const bytes = Buffer.from(typeof value === 'boolean' ? (value ? 't' : 'f') : String(value))
        return [int32(bytes.length), bytes]
      })
      send('D', int16(Object.keys(row).length), ...values)
    }
  }

  function ready() {
    send('Z', Buffer.from(isInTransaction ? 'T' : 'I'))
  }

  function send(type, ...parts) {
    const body = Buffer.concat(parts)
    socket.write(Buffer.concat([Buffer.from(type), int32(body.length + 4), body]))
  }
}

/** The version of the record of the schema, once the script that creates the record was run. */
function formatOf({ seen }) {
  const script = seen.find((statement) => statement.includes('view provisioning.record_format'))
  const [, format] = /select (\d+) as format/.exec(script) ?? []
  return format && Number(format)
}

function fingerprint(history) {
  const text = JSON.stringify(
    history.map(({ recordedAs, hash, previousHash }) => [recordedAs, hash, previousHash]),
  )
  return {
    count: history.length,
    fingerprint: createHash('sha256').update(text).digest('hex'),
  }
}

/** PostgreSQL's oid of a type: boolean, integer or text. */
function typeOf(value) {
  return { boolean: 16, number: 23 }[typeof value] ?? 25
}

const text = (value) => Buffer.from(`${value}\0`)

function int16(value) {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
