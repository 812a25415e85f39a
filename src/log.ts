import type { BaseLogger } from 'pino'

/** What the parts of the service need of pino: sentences with data. */
export type Log = Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>
