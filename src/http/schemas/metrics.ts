import { Type } from 'typebox'

export const metricsSchema = {
  tags: ['Status'],
  summary: 'Metrics for Prometheus',
  description: 'In the text format of Prometheus. Answered from memory, in every state.',
  response: {
    200: {
      description: 'The metrics.',
      content: {
        'text/plain': {
          schema: Type.String({
            examples: [
              '# HELP commandbus_db_ready 1 while the service is ready, as /readyz says, else 0.\n' +
                '# TYPE commandbus_db_ready gauge\ncommandbus_db_ready 1\n',
            ],
          }),
        },
      },
    },
  },
} as const
