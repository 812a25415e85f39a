import type pg from 'pg'
import type { Log } from '../logger.ts'
import type { Queryable } from './client.ts'
import type { SessionClient } from './connection/client.ts'
import { ConnectionError, isConnectionLost } from './errors.ts'

export interface PoolOptions {
  readonly open: () => Promise<SessionClient>
  readonly log: Log
  /** Default 5. */
  readonly maxSessions?: number
}

/** Sessions for single statements: opened when they are needed, and closed when nothing needs them. */
export interface Pool extends Queryable {
  end(): Promise<void>
}

/** A pool that says how busy it is. */
export interface CountedPool extends Pool {
  readonly stats: PoolStats
}

export interface PoolStats {
  /** Sessions in use, being opened, or idle. */
  readonly size: number
  readonly idle: number
  /** Queries that wait for a session. */
  readonly waiting: number
  readonly max: number
}

/** So that many services on one database do not use up its connections while idle. */
const IDLE_MS = 1000
const WAIT_MS = 5000

/** Creates a pool that survives losing its sessions: the next query opens a new one. */
export function createPool({ open, log, maxSessions = 5 }: PoolOptions): CountedPool {
  const idle = new Map<SessionClient, NodeJS.Timeout>()
  const waiting: (() => void)[] = []
  let inUse = 0
  let isEnding = false

  function takeIdle(): SessionClient | undefined {
    const client = [...idle.keys()].at(-1)
    if (client !== undefined) forget(client)
    return client
  }

  function forget(client: SessionClient): boolean {
    clearTimeout(idle.get(client))
    return idle.delete(client)
  }

  async function openNew(): Promise<SessionClient> {
    const client = await open()
    client.on('error', (error) => {
      if (forget(client)) log.warn({ err: error }, 'idle database connection lost')
    })
    client.on('end', () => forget(client))
    return client
  }

  function keepIdle(client: SessionClient): void {
    const close = () => {
      if (forget(client)) void client.end()
    }
    idle.set(client, setTimeout(close, IDLE_MS))
  }

  async function waitForTurn(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const turn = new Promise<boolean>((resolve) => {
      const take = () => resolve(true)
      waiting.push(take)
      timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(take), 1)
        resolve(false)
      }, WAIT_MS)
    })
    const isFree = await turn
    clearTimeout(timer)
    if (!isFree) throw new ConnectionError('ENOANSWER', 'no database session became free in time')
  }

  async function run(...query: unknown[]): Promise<unknown> {
    if (isEnding) throw new Error('the pool is closed')
    // A query that waited takes the place of the one that ended.
    if (inUse >= maxSessions) await waitForTurn()
    else inUse++
    let client: SessionClient | undefined
    try {
      client = takeIdle() ?? (await openNew())
      const result = await client.query(...(query as [string]))
      if (isEnding) void client.end()
      else keepIdle(client)
      return result
    } catch (error) {
      if (client !== undefined) {
        if (isConnectionLost(error) || isEnding) client.destroy('the query failed')
        else keepIdle(client)
      }
      throw error
    } finally {
      const next = waiting.shift()
      if (next === undefined) inUse--
      else next()
    }
  }

  return {
    query: run as unknown as pg.ClientBase['query'],
    get stats() {
      return {
        size: inUse + idle.size,
        idle: idle.size,
        waiting: waiting.length,
        max: maxSessions,
      }
    },
    async end() {
      isEnding = true
      const clients = [...idle.keys()]
      for (const client of clients) forget(client)
      await Promise.all(clients.map((client) => client.end()))
    },
  }
}
