// The image's health check: says by its exit code whether the running service is ready. It loads
// nothing of the service but where that listens, because an engine runs it every few seconds.
import { loadListenAddress } from '../config/config.ts'
import { askReadiness } from '../http/probe.ts'

try {
  const { ready, body } = await askReadiness(loadListenAddress())
  // The engine keeps the last outputs: `docker inspect` then tells why a container is unhealthy.
  console.log(body)
  process.exitCode = ready ? 0 : 1
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
}
