// Writes schema/, docs/schema/ and client/schema/ from the committed migrations: npm run db:schema.
import { dirname } from 'node:path'
import { openBenchServer } from '../../bench/server.ts'
import { generateSchema, replaceFiles } from './generate.ts'

// A server of its own, so that neither settings nor the development database can change what is written.
const server = await openBenchServer(undefined)
try {
  const files = await generateSchema(await server.createMigrated('schema'))
  replaceFiles(dirname(dirname(import.meta.dirname)), files)
  process.stdout.write(`wrote ${files.size} files\n`)
} finally {
  await server.close()
}
