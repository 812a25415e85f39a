// The image's health check: its exit code says whether the running service is ready. A container
// engine runs it every few seconds, so it loads nothing but the settings of the address.
import { loadListenAddress } from '../config/config.ts'
import { askReadiness } from '../http/probe.ts'

// Not awaited at the top level: the bundle is CommonJS, which has no such await.
void check()

async function check(): Promise<void> {
  try {
    const { ready, body } = await askReadiness(loadListenAddress())
    // The engine keeps the last outputs: `docker inspect` shows why a container is unhealthy.
    console.log(body)
    process.exitCode = ready ? 0 : 1
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 1
  }
}
