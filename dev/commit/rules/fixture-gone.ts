import { nameFolder } from '../../loop/format.ts'
import { readPlace } from '../../loop/locate.ts'
import { listCreated } from '../../loop/sort-by-use.ts'
import { withoutArguments } from '../../words.ts'
import type { CatalogState } from '../trial/catalog-state.ts'
import { listGoneFixtures } from './fixture-not-included.ts'
import type { Rule } from './rule.ts'

/** What a fixture made is still there, and no file has its source any more. */
export const fixtureGone: Rule = {
  name: 'fixture-gone',
  refuses: 'a fixture that was deleted or emptied while what it made is still there',
  check({ migrationsDir, fixtures, committed, text, after }) {
    const made = [...fixtures.values(), text.sql].flatMap(listCreated).map(unquote)
    const folder = `${nameFolder(migrationsDir)}/fixtures`
    return listGoneFixtures(fixtures, committed).flatMap((path) =>
      listCreated(committed.get(path) ?? '')
        .map(unquote)
        // A file that was renamed is no loss.
        .filter((name) => !made.includes(name))
        .flatMap((name) => findObjects(after, name))
        .map(({ kind, name }) => ({
          message: `${folder}/${path} is ${fixtures.has(path) ? 'empty' : 'gone'}, but the ${kind} ${name} is still there`,
          remedy: `add "drop ${kind} if exists ${name};" to current.sql, or restore the file: git checkout ${folder}/${path}`,
          ...(fixtures.has(path) && {
            place: readPlace({ file: `fixtures/${path}`, line: 1 }, migrationsDir),
          }),
        })),
    )
  },
}

const KINDS = ['function', 'procedure', 'view', 'materialized view', 'table', 'type', 'sequence']

function findObjects({ objects }: CatalogState, name: string) {
  return [...objects.values()].filter(
    (one) => KINDS.includes(one.kind) && unquote(withoutArguments(one.name)) === name,
  )
}

const unquote = (name: string) => name.replaceAll('"', '').toLowerCase()
