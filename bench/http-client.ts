import { Agent, request } from 'node:http'

export interface HttpClient {
  /** Resolves with the text of the answer; rejects where its status is none of success. */
  call(method: string, path: string, body?: object): Promise<string>
  close(): void
}

/** Node.js's own client with connections that are kept: it takes less of the processor than fetch. */
export function createHttpClient(
  base: string,
  headers: Readonly<Record<string, string>> = {},
): HttpClient {
  const agent = new Agent({ keepAlive: true })
  return {
    call: (method, path, body) =>
      new Promise((resolve, reject) => {
        const type = body === undefined ? {} : { 'content-type': 'application/json' }
        const options = { agent, method, headers: { ...headers, ...type } }
        const sent = request(`${base}${path}`, options, (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (piece: string) => {
            text += piece
          })
          response.once('end', () => {
            const { statusCode = 0 } = response
            if (statusCode >= 200 && statusCode < 300) resolve(text)
            else reject(new Error(`${method} ${path}: ${statusCode} ${text}`))
          })
        })
        sent.once('error', reject)
        sent.end(body === undefined ? undefined : JSON.stringify(body))
      }),
    close: () => agent.destroy(),
  }
}
