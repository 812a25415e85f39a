import { randomBytes } from 'node:crypto'
import type { Lent, Subject, SubjectOptions } from './databases-subjects.ts'
import { createHttpClient } from './http-client.ts'

interface IntegresqlDatabase {
  readonly id?: number
  readonly database: {
    readonly config: {
      readonly host: string
      readonly port: number
      readonly username: string
      readonly password: string
      readonly database: string
    }
  }
}

/**
 * IntegreSQL through its HTTP API, as its clients use it: a template that is filled and finalized once, then
 * a test database for each request, which is given back to be made again. Returns why there is none.
 */
export async function createIntegresql(
  base: string | undefined,
  { server }: SubjectOptions,
): Promise<Subject | string> {
  if (base === undefined) return 'not measured: no INTEGRESQL_URL'
  const hash = randomBytes(16).toString('hex')
  const http = createHttpClient(`${base}/api/v1`)
  const call = async (method: string, path: string, body?: object) => {
    const text = await http.call(method, path, body)
    return (text === '' ? {} : JSON.parse(text)) as IntegresqlDatabase
  }
  const template = await call('POST', '/templates', { hash })
  await server.migrate(urlOf(template))
  await call('PUT', `/templates/${hash}`)
  return {
    async get() {
      const lent = await call('GET', `/templates/${hash}/tests`)
      return { id: String(lent.id), url: urlOf(lent) }
    },
    giveBack: async ({ id }: Lent) => {
      await call('POST', `/templates/${hash}/tests/${id}/recreate`)
    },
    close: async () => {
      await call('DELETE', `/templates/${hash}`)
      http.close()
    },
  }
}

function urlOf({ database: { config } }: IntegresqlDatabase): string {
  const url = new URL(`postgres://${config.host}:${config.port}/${config.database}`)
  url.username = config.username
  url.password = config.password
  return url.href
}
