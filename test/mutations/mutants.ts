import ts from 'typescript'

/** One change of one file. */
export interface Mutant {
  readonly path: string
  /** Counted from 1. */
  readonly line: number
  readonly operator: string
  /** The text that is replaced, and what stands in its place. */
  readonly before: string
  readonly after: string
  /** Where `before` begins in the file. */
  readonly offset: number
}

type Change = Pick<Mutant, 'operator' | 'offset' | 'before' | 'after'>

/** Every mutant of a file that this program can make; none of a file that is neither TypeScript nor SQL. */
export function listMutants(path: string, text: string): Mutant[] {
  const changes = path.endsWith('.ts') ? listTypeScript(text) : listSql(text, 0)
  return changes
    .map((change) => ({
      path,
      line: text.slice(0, change.offset).split('\n').length,
      ...change,
    }))
    .filter(({ before, after }) => before !== after)
}

/** The file's text with the mutant in it. */
export function applyMutant(text: string, { offset, before, after }: Mutant): string {
  return text.slice(0, offset) + after + text.slice(offset + before.length)
}

const OPPOSITES: Readonly<Record<string, string>> = {
  '===': '!==',
  '!==': '===',
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '&&': '||',
  '||': '&&',
  '??': '&&',
  '+': '-',
  '-': '+',
}

function listTypeScript(text: string): Change[] {
  const file = ts.createSourceFile('mutant.ts', text, ts.ScriptTarget.Latest, true)
  const changes: Change[] = []
  const add = (operator: string, node: ts.Node, after: string) => {
    const offset = node.getStart()
    changes.push({ operator, offset, before: text.slice(offset, node.getEnd()), after })
  }

  const visit = (node: ts.Node): void => {
    // What a type says, nothing does.
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isInterfaceDeclaration(node))
      return
    if (ts.isIfStatement(node)) {
      add('negate the condition', node.expression, `!(${node.expression.getText()})`)
      if (node.elseStatement === undefined) add('leave the branch out', node, '')
    }
    if (ts.isConditionalExpression(node)) {
      add('negate the condition', node.condition, `!(${node.condition.getText()})`)
    }
    if (ts.isBinaryExpression(node)) {
      const { operatorToken, left, right } = node
      const opposite = OPPOSITES[operatorToken.getText()]
      const isText = [left, right].some((side) => ts.isStringLiteralLike(side))
      if (opposite !== undefined && !(isText && operatorToken.getText() === '+')) {
        add('another operator', operatorToken, opposite)
      }
    }
    if (ts.isExpressionStatement(node)) add('leave the statement out', node, '')
    if (ts.isNumericLiteral(node)) {
      add('another number', node, String(Number(node.getText().replaceAll('_', '')) + 1))
    }
    if (node.kind === ts.SyntaxKind.TrueKeyword) add('the other truth', node, 'false')
    if (node.kind === ts.SyntaxKind.FalseKeyword) add('the other truth', node, 'true')
    if (ts.isNoSubstitutionTemplateLiteral(node) || ts.isTemplateExpression(node)) {
      const literal = node.getText()
      // SQL in a template: its own operators, outside of what is put in.
      if (/\b(select|update|insert|delete|alter|drop|lock|begin)\b/.test(literal)) {
        changes.push(...listSql(literal, node.getStart()))
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return changes
}

/** Each finds a piece of SQL by line, and says what stands in its place. */
const SQL_OPERATORS: readonly (readonly [string, RegExp, (found: string) => string])[] = [
  ['leave the condition out', /^[ \t]*(?:and|or) (?!.*\b(?:then|begin)\b)[^;()\n]*$/gm, () => ''],
  ['leave the order out', /\border by [^()\n;]+/g, () => ''],
  ['leave the lock out', /\bfor (?:no key )?update\b(?: skip locked| nowait)?/g, () => ''],
  ['another operator', / (?:<>|<=|>=|=|<|>) /g, (found) => SQL_OPPOSITES[found.trim()] ?? found],
  ['another operator', / [+-] (?=\d|[a-z_])/g, (found) => (found.includes('+') ? ' - ' : ' + ')],
  ['negate the condition', /\bnot exists\b/g, () => 'exists'],
  ['negate the condition', /\bis not null\b/g, () => 'is null'],
  [
    'another function',
    /\b(?:least|greatest)\b/g,
    (found) => (found === 'least' ? 'greatest' : 'least'),
  ],
  ['leave the statement out', /^[ \t]*perform [^;]+;/gm, () => ''],
]

const SQL_OPPOSITES: Readonly<Record<string, string>> = {
  '=': ' <> ',
  '<>': ' = ',
  '<': ' <= ',
  '<=': ' < ',
  '>': ' >= ',
  '>=': ' > ',
}

function listSql(text: string, start: number): Change[] {
  const code = blankComments(text)
  return SQL_OPERATORS.flatMap(([operator, pattern, replace]) =>
    [...code.matchAll(pattern)].map((match) => {
      const before = text.slice(match.index, match.index + match[0].length)
      return { operator, offset: start + match.index, before, after: replace(before) }
    }),
  )
}

/** Comments and texts are not mutated; their length stays. */
function blankComments(sql: string): string {
  return sql.replace(/--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\n]|'')*'/g, (found) =>
    found.replace(/[^\n]/g, '~'),
  )
}
