import { Type } from 'typebox'
import { NOT_READY_REASONS } from '../../readiness.ts'

export const livezSchema = {
  tags: ['Probes'],
  summary: 'The process serves requests',
  description: 'Never touches the database. For a liveness probe.',
  response: {
    200: Type.Object(
      { status: Type.Literal('live') },
      { $id: 'Live', examples: [{ status: 'live' }] },
    ),
  },
} as const

export const readyzSchema = {
  tags: ['Probes'],
  summary: 'The database is migrated and reachable',
  description:
    'Answered from memory, so a probe never waits for the database. The state is at most two seconds old. ' +
    '`/readyz` and `/health` are the same.',
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
      { $id: 'Ready', description: 'Ready.', examples: [{ status: 'ready' }] },
    ),
    503: Type.Object(
      {
        status: Type.Literal('not_ready'),
        reason: Type.Enum(NOT_READY_REASONS),
        detail: Type.String({ description: 'For people; may be reworded.' }),
      },
      {
        $id: 'NotReady',
        description: 'Not ready, and why.',
        examples: [
          {
            status: 'not_ready',
            reason: 'migrating',
            detail: 'applying 000002-orders.sql, 2 of 2',
          },
        ],
      },
    ),
  },
} as const
