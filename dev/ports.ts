import { createServer } from 'node:net'

/** How many ports are tried, the first one included. */
const MAX_TRIES = 100

/** Returns the port or, so that two checkouts run side by side, the next one that is free. */
export async function findFreePort(
  host: string,
  first: number,
  { not }: { readonly not?: number } = {},
): Promise<number> {
  if (first === 0) return (await tryListen(host, 0)) ?? 0
  for (let port = first; port < first + MAX_TRIES; port++) {
    if (port !== not && (await tryListen(host, port)) !== undefined) return port
  }
  // The service reports why it cannot listen there.
  return first
}

/** The port on which one can listen; undefined if that is not possible. */
async function tryListen(host: string, port: number): Promise<number | undefined> {
  const probe = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject).listen({ host, port, exclusive: true }, resolve)
    })
  } catch {
    return undefined
  }
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : undefined
}
