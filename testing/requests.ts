import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceAddress } from './environment.ts'
import { TestDatabaseError } from './errors.ts'

/** What a borrower may ask for; the service's defaults apply to what is left out. */
export interface LendRequest {
  readonly ttlSeconds: number
  readonly waitMs: number
  readonly label: string
  readonly through?: string
}

/** The service's answer to `POST /databases`. */
export interface Lent {
  readonly id: string
  readonly name: string
  readonly url: string
  readonly history: { readonly last: string; readonly hash: string }
}

const ANSWER_MS = 30_000
const PAUSE_MS = 200

/** Borrows a database; waits, within `waitMs`, for a service that is not ready yet. */
export async function lend(service: ServiceAddress, request: LendRequest): Promise<Lent> {
  const deadline = performance.now() + request.waitMs
  while (true) {
    const answer = await ask(service, 'POST', '/databases', request, request.waitMs)
    if (answer.status === 201) return answer.body as Lent
    const isStarting = answer.status === 503 && performance.now() < deadline
    if (!isStarting) throw refusedError(service, 'POST /databases', answer)
    await sleep(PAUSE_MS)
  }
}

/** Lends it for `ttlSeconds` from now on; false if it is not lent any more. */
export async function extend(
  service: ServiceAddress,
  id: string,
  ttlSeconds: number,
): Promise<boolean> {
  const path = `/databases/${id}/expiry`
  const answer = await ask(service, 'PUT', path, { ttlSeconds })
  if (answer.status === 200) return true
  if (isLeaseGone(answer)) return false
  throw refusedError(service, `PUT ${path}`, answer)
}

/** Gives a database back; one that is not lent any more is no error. */
export async function giveBack(service: ServiceAddress, id: string): Promise<void> {
  const path = `/databases/${id}`
  const answer = await ask(service, 'DELETE', path)
  if (answer.status !== 204 && !isLeaseGone(answer)) {
    throw refusedError(service, `DELETE ${path}`, answer)
  }
}

/** How many sessions are open in a database; none in one that is not lent any more. */
export async function countConnections(service: ServiceAddress, id: string): Promise<number> {
  const path = `/databases/${id}`
  const answer = await ask(service, 'GET', path)
  if (isLeaseGone(answer)) return 0
  if (answer.status !== 200) throw refusedError(service, `GET ${path}`, answer)
  return (answer.body as { readonly connections?: number }).connections ?? 0
}

interface Answer {
  readonly status: number
  readonly body: { readonly code?: string; readonly detail?: string } | Lent
}

async function ask(
  { url, token }: ServiceAddress,
  method: string,
  path: string,
  body?: object,
  waitMs = 0,
): Promise<Answer> {
  try {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(waitMs + ANSWER_MS),
    })
    const text = await response.text()
    return { status: response.status, body: parse(text) }
  } catch (cause) {
    const reason =
      ((cause as Error).cause as Error | undefined)?.message ?? (cause as Error).message
    throw new TestDatabaseError(
      'service_unreachable',
      `cannot reach the service that lends test databases at ${url}: ${reason}; start it, or unset ` +
        'COMMANDBUS_DB_URL, and the tests start one of their own',
      { cause },
    )
  }
}

/** Something else than the service may answer in its place, such as a proxy. */
function parse(text: string): Answer['body'] {
  try {
    return text === '' ? {} : JSON.parse(text)
  } catch {
    return { detail: text.slice(0, 200) }
  }
}

function isLeaseGone({ status, body }: Answer): boolean {
  return status === 404 && (body as { code?: string }).code === 'lease_not_found'
}

const REMEDIES: Readonly<Record<string, string>> = {
  route_not_found:
    'start the service with TEST_DATABASES_MAX above 0 and the same TEST_DATABASES_TOKEN as the tests',
  token_wrong: 'set TEST_DATABASES_TOKEN to the token of that service',
}

function refusedError(
  { url }: ServiceAddress,
  request: string,
  { status, body }: Answer,
): TestDatabaseError {
  const { code = 'no_code', detail = 'no detail' } = body as { code?: string; detail?: string }
  const remedy = REMEDIES[code]
  return new TestDatabaseError(
    code,
    `${request} at ${url} was answered with ${status} (${code}): ${detail}` +
      (remedy === undefined ? '' : `; ${remedy}`),
    { status },
  )
}
