// Writes schema/, docs/schema/ and client/schema/ from the committed migrations: npm run db:schema.
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { openBenchServer } from '../../bench/server.ts'
import { FOLDERS, generateSchema, replaceFiles } from './generate.ts'

const HELP = `npm run db:schema

Migrates an empty database on a server of its own, and writes schema/, docs/schema/ and client/schema/ from its catalogue.
`

if (wantsHelp()) process.stdout.write(HELP)
else await write()

function wantsHelp(): boolean {
  try {
    return parseArgs({ options: { help: { type: 'boolean', short: 'h' } } }).values.help === true
  } catch (error) {
    process.stderr.write(`${(error as Error).message}; expected no argument but --help\n`)
    process.exit(2)
  }
}

async function write(): Promise<void> {
  // So that neither settings nor the development database can change what is written.
  const server = await openBenchServer(undefined)
  try {
    const files = await generateSchema(await server.createMigrated('schema'))
    replaceFiles(dirname(dirname(import.meta.dirname)), files)
    process.stdout.write(`wrote ${files.size} files to ${FOLDERS.join(', ')}\n`)
  } finally {
    await server.close()
  }
}
