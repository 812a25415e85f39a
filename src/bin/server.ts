// The service as a process.
import { runService } from './run-service.ts'

// Not awaited at the top level: the bundle is CommonJS, which has no such await.
void runService()
