// The service as a process.
import { runService } from './run-service.ts'

await runService()
