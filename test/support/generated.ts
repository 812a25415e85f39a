import { readFileSync } from 'node:fs'
import { FOLDERS } from '../../scripts/schema/generate.ts'
import { listProjectFiles } from './files.ts'

/** The files that npm run db:schema has written, by path, in order. */
export const generated = FOLDERS.flatMap((folder) =>
  ['.sql', '.md', '.svg', '.ts'].flatMap((ending) => listProjectFiles(folder, ending)),
).sort()

/** The text of such a file; empty where there is none. */
export function readGenerated(path: string): string {
  return generated.includes(path) ? readFileSync(path, 'utf8') : ''
}

/** The paths of which `files` and what is written differ. */
export function listDifferences(files: ReadonlyMap<string, string>): string[] {
  return [...new Set([...files.keys(), ...generated])]
    .filter((path) => files.get(path) !== readGenerated(path))
    .sort()
}
