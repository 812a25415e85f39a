// Migrates and ends, as a Kubernetes Job before a rollout does: with the service's log and exit codes,
// but without its port.
import { runService } from './run-service.ts'

// Not awaited at the top level: the bundle is CommonJS, which has no such await.
void runService({ once: true })
