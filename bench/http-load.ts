// A process that makes requests for http.ts: its processor time does not count as the server's.
import autocannon from 'autocannon'

export interface Load {
  readonly url: string
  readonly connections: number
  readonly seconds: number
}

export interface Loaded {
  readonly requests: number
  readonly failed: number
  readonly durationMs: number
  readonly slowestMs: number
}

process.on('message', async ({ url, connections, seconds }: Load) => {
  const { requests, latency, non2xx, errors, start, finish } = await autocannon({
    ...{ url, connections, duration: seconds },
  })
  const loaded: Loaded = {
    requests: requests.total,
    failed: non2xx + errors,
    durationMs: finish.getTime() - start.getTime(),
    slowestMs: latency.p99,
  }
  process.send?.(loaded)
})
