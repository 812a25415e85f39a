import { dirname, join, normalize } from 'node:path'

/** One import of a source file: what it names, and whether only types come with it. */
export interface Import {
  readonly from: string
  readonly to: string
  readonly isTypeOnly: boolean
}

/** The project's own imports of these files, by path from the project's root. */
export function listImports(sources: ReadonlyMap<string, string>): Import[] {
  return [...sources].flatMap(([from, text]) => [
    ...[...text.matchAll(/^(?:import|export) (type )?([^;'"]*?) ?from '(\.[^']+)'/gms)].map(
      ([, type, names = '', to = '']) => ({
        from,
        to: normalize(join(dirname(from), to)),
        isTypeOnly: type !== undefined || hasOnlyTypes(names),
      }),
    ),
    ...[...text.matchAll(/\bimport\(\s*'(\.[^']+)'\s*\)/g)].map(([, to = '']) => ({
      from,
      to: normalize(join(dirname(from), to)),
      isTypeOnly: false,
    })),
  ])
}

function hasOnlyTypes(names: string): boolean {
  const list = /^\{(.*)\}$/s.exec(names.trim())?.[1]?.split(',') ?? ['']
  return list.filter((name) => name.trim() !== '').every((name) => name.trim().startsWith('type '))
}

/** Every group of files that import each other in a circle, by Tarjan's strongly connected components. */
export function findCircles(imports: readonly Import[]): string[][] {
  const targets = new Map<string, string[]>()
  for (const { from, to } of imports) {
    targets.set(from, [...(targets.get(from) ?? []), to])
    if (!targets.has(to)) targets.set(to, [])
  }
  const numbers = new Map<string, number>()
  const lowest = new Map<string, number>()
  const stack: string[] = []
  const circles: string[][] = []

  const visit = (file: string): number => {
    const number = numbers.size
    numbers.set(file, number)
    lowest.set(file, number)
    stack.push(file)
    for (const target of targets.get(file) ?? []) {
      const reached = numbers.has(target)
        ? stack.includes(target)
          ? (numbers.get(target) ?? number)
          : number
        : visit(target)
      lowest.set(file, Math.min(lowest.get(file) ?? number, reached))
    }
    if (lowest.get(file) === number) {
      const group = stack.splice(stack.indexOf(file))
      if (group.length > 1 || targets.get(file)?.includes(file)) circles.push(group.sort())
    }
    return lowest.get(file) ?? number
  }
  for (const file of targets.keys()) if (!numbers.has(file)) visit(file)
  return circles
}
