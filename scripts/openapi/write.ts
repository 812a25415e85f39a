// Writes the OpenAPI description of the service, made from the schemas of its routes:
//
//   tsx scripts/openapi/write.ts FILE
import { writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { describeRoutes } from './describe.ts'
import { listRoutes } from './routes.ts'

const [, , file] = argv
if (file === undefined) throw new Error('usage: tsx scripts/openapi/write.ts FILE')
writeFileSync(file, `${JSON.stringify(describeRoutes(await listRoutes()), null, 2)}\n`)
