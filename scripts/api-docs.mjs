// What GET /openapi.json and GET /docs serve: the OpenAPI description, and a viewer (Swagger UI) with its
// license. Compressed by gzip, as they are sent.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

const viewer = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))

/** Writes the OpenAPI description that the schemas of the routes make. */
function writeOpenApi(root, file) {
  const args = ['--import', 'tsx', join('scripts', 'openapi', 'write.ts'), file]
  execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
}

/** Writes everything into `folder`. */
export function writeApiDocs(root, folder) {
  const page = join(root, 'src', 'http', 'api-docs')
  const made = mkdtempSync(join(tmpdir(), 'openapi-'))
  try {
    writeOpenApi(root, join(made, 'openapi.json'))
    const files = {
      'openapi.json': readFileSync(join(made, 'openapi.json')),
      'index.html': readFileSync(join(page, 'index.html')),
      'start.js': readFileSync(join(page, 'start.js')),
      'swagger-ui-bundle.js': readFileSync(join(viewer, 'swagger-ui-bundle.js')),
      'swagger-ui.css': readFileSync(join(viewer, 'swagger-ui.css')),
      'LICENSE.txt': ['NOTICE', 'LICENSE', 'swagger-ui-bundle.js.LICENSE.txt']
        .map((name) => readFileSync(join(viewer, name), 'utf8'))
        .join('\n\n'),
    }
    mkdirSync(folder, { recursive: true })
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(folder, `${name}.gz`), gzipSync(content, { level: 9 }))
    }
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
}
