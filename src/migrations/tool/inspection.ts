import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mayLeaveUnseen } from './leftovers.ts'
import { findRefusal, type Refusal, type RefusalOptions } from './refusal.ts'

/** What is to be known of a text before it runs. */
export interface Inspection {
  /** The first statement that no migration may contain. */
  readonly refusal: Refusal | undefined
  /** See `leftovers.ts`. */
  readonly mayLeaveUnseen: boolean
}

/** A text that was inspected before it is sent. It has nothing to refuse. */
export interface Inspected {
  readonly sha1: string
  readonly noTransaction: boolean
  readonly mayLeaveUnseen: boolean
}

/** Inspects a text, or finds it among those that were. */
export function inspect(
  sent: string,
  options: RefusalOptions,
  inspected: readonly Inspected[] = [],
): Inspection {
  const { noTransaction, standardStrings = true } = options
  const sha1 = inspected.length > 0 && standardStrings && sha1Of(sent)
  const known = inspected.find((one) => one.sha1 === sha1 && one.noTransaction === noTransaction)
  if (known !== undefined) return { refusal: undefined, mayLeaveUnseen: known.mayLeaveUnseen }
  return { refusal: findRefusal(sent, options), mayLeaveUnseen: mayLeaveUnseen(sent) }
}

/** The texts that a bundle was built with, those of our migrations; otherwise none. */
export function loadInspected(): readonly Inspected[] {
  try {
    return JSON.parse(readFileSync(new URL('./inspected.json', import.meta.url), 'utf8'))
  } catch {
    return []
  }
}

/** Inspects a text before it is sent; undefined if there is something to refuse. */
export function inspectAhead(sent: string, noTransaction: boolean): Inspected | undefined {
  const { refusal, ...found } = inspect(sent, { noTransaction })
  return refusal === undefined ? { sha1: sha1Of(sent), noTransaction, ...found } : undefined
}

function sha1Of(text: string): string {
  return createHash('sha1').update(text).digest('base64')
}
