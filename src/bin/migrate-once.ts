// Migrates and ends, as a Kubernetes Job before a rollout does: with the service's log and exit codes,
// but without its port.
import { runService } from './run-service.ts'

await runService({ once: true })
