import { Type } from 'typebox'
import { NOT_READY_REASONS } from '../../readiness.ts'

export const livezSchema = {
  summary: 'The process serves requests',
  description: 'Never touches the database.',
  response: { 200: Type.Object({ status: Type.Literal('live') }) },
} as const

export const readyzSchema = {
  summary: 'The database is migrated and reachable',
  description: 'Answered from memory, so a probe never waits for the database.',
  response: {
    200: Type.Object(
      {
        status: Type.Literal('ready'),
        detail: Type.Optional(
          Type.String({
            description:
              'Only with WHEN_AHEAD=serve, on a database that is ahead: by which migrations.',
          }),
        ),
      },
      { $id: 'Ready' },
    ),
    503: Type.Object(
      {
        status: Type.Literal('not_ready'),
        reason: Type.Enum(NOT_READY_REASONS),
        detail: Type.String({ description: 'For people; may be reworded.' }),
      },
      { $id: 'NotReady' },
    ),
  },
} as const
