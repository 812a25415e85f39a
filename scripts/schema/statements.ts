import { literal } from '../../src/postgres/quote.ts'
import type { SchemaObject } from './objects.ts'

/** Writes the statements that create an object which is no part of another, with its parts. */
export function writeStatements(object: SchemaObject, parts: readonly SchemaObject[]): string[] {
  const create = CREATE[object.kind]
  if (create === undefined)
    throw new Error(`${object.name}: the dump cannot write a ${object.kind} yet: add it to CREATE`)
  const later = parts.filter((part) => !isInTable(part))
  return [
    ...create(object, parts.filter(isInTable)),
    ...later.filter(({ kind }) => kind !== 'column').map(writePart),
    ...[object, ...parts].flatMap(writeComment),
    ...writePrivileges(object),
  ]
}

type Create = (object: SchemaObject, inTable: readonly SchemaObject[]) => string[]

const routine: Create = ({ aspects }) => [`${aspects.definition?.trimEnd()};`]

/** How each kind is created. Foreign keys follow as statements of their own, so that tables need no order. */
const CREATE: Readonly<Record<string, Create>> = {
  schema: ({ name }) => [`create schema ${name};`],
  table: ({ name, aspects }, inTable) => {
    const lines = inTable.map((part) =>
      part.kind === 'column'
        ? `  ${ownName(part)} ${part.aspects.definition}`
        : `  constraint ${ownName(part)} ${part.aspects.definition}`,
    )
    return [`create table ${name} (\n${lines.join(',\n')}\n)${withOptions(aspects)};`]
  },
  view: ({ name, aspects }) => [
    `create view ${name}${withOptions(aspects)} as\n${aspects.definition}`,
  ],
  sequence: ({ name, aspects }) => {
    const { definition = '', 'owned by': owner } = aspects
    // In the catalogue's words: bigint start 1 increment 1 minimum 1 maximum 9 cache 1.
    const options = definition.replace('minimum', 'minvalue').replace('maximum', 'maxvalue')
    const owned = owner === undefined ? [] : [`alter sequence ${name} owned by ${owner};`]
    return [`create sequence ${name} as ${options};`, ...owned]
  },
  function: routine,
  procedure: routine,
  queue: ({ name }) => [`select pgmq.create(${literal(name.replaceAll('"', ''))});`],
}

const withOptions = ({ options }: SchemaObject['aspects']) =>
  options === undefined ? '' : ` with (${options})`

const isForeignKey = ({ kind, aspects }: SchemaObject) =>
  kind === 'constraint' && aspects.definition?.startsWith('FOREIGN KEY') === true

const isInTable = (part: SchemaObject) =>
  part.kind === 'column' || (part.kind === 'constraint' && !isForeignKey(part))

function writePart(part: SchemaObject): string {
  const { kind, parent, aspects } = part
  return kind === 'constraint'
    ? `alter table ${parent} add constraint ${ownName(part)} ${aspects.definition};`
    : `${aspects.definition};`
}

/** The name of a part without its relation's. */
export function ownName({ name, parent }: SchemaObject): string {
  return parent !== null && name.startsWith(`${parent}.`) ? name.slice(parent.length + 1) : name
}

function writeComment(object: SchemaObject): string[] {
  const { kind, name, parent, comment } = object
  if (comment === null) return []
  const subject = ['constraint', 'trigger'].includes(kind)
    ? `${ownName(object)} on ${parent}`
    : name
  return [`comment on ${kind} ${subject} is ${literal(comment)};`]
}

const PRIVILEGES = 'privileges of '

/** The privileges of others than the owner. The role that migrates owns everything, so owners are left out. */
function writePrivileges({ kind, name, aspects }: SchemaObject): string[] {
  const isRoutine = kind === 'function' || kind === 'procedure'
  const granted = Object.entries(aspects)
    .filter(([aspect]) => aspect.startsWith(PRIVILEGES))
    .map(([aspect, privileges]) => ({ role: aspect.slice(PRIVILEGES.length), privileges }))
  // Everyone may execute a new routine.
  const isDefault = ({ role }: { role: string }) => isRoutine && role === 'PUBLIC'
  return [
    ...(isRoutine && !granted.some(isDefault)
      ? [`revoke all on ${kind} ${name} from public;`]
      : []),
    ...granted
      .filter((grant) => !isDefault(grant))
      .map(({ role, privileges }) => `grant ${privileges} on ${kind} ${name} to ${role};`),
  ]
}
