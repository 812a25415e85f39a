import { type TSchema, Type } from 'typebox'

/** A value that may be unknown or absent, and is null then. */
export const Nullable = <Schema extends TSchema>(schema: Schema, description?: string) =>
  Type.Union([schema, Type.Null()], description === undefined ? {} : { description })
