import { livezSchema } from '../schemas/health.ts'
import type { RoutePlugin } from '../typebox.ts'

/** Answers while the process serves; never touches the database. */
export const livezRoute: RoutePlugin = async (app) => {
  app.get('/livez', { schema: livezSchema }, async () => ({ status: 'live' as const }))
}
