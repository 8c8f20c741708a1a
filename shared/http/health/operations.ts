import { json, type Operation } from '../openapi/operation.ts';
import { healthSchema } from './check.ts';

/** How the service is. */
export const healthOperations = {
  health: {
    route: 'GET /health',
    needs: 'nothing',
    summary: 'Ask whether the service works',
    description: 'With a function key, the answer also has what was looked at.',
    answers: {
      200: {
        description: 'It works.',
        content: json(healthSchema, {
          status: 'healthy',
          checks: { settings: 'ok', storage: 'ok', keyVault: 'ok', timers: 'ok' },
          endingSecrets: [],
          timers: { 'import-schedule': '2026-03-02T08:00:00.000Z' },
        }),
      },
      503: { description: 'It does not work.', content: json(healthSchema, { status: 'unhealthy' }) },
    },
  },
  'health-key': {
    route: 'GET /health/key',
    needs: 'key',
    summary: 'Ask whether a function key is good',
    answers: { 204: { description: 'The key is good.' } },
  },
} as const satisfies Readonly<Record<string, Operation>>;
