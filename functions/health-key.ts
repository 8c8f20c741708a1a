import { app } from '@azure/functions';

/**
 * Says no more than that the caller's key is good (see health.ts). Asks neither settings nor roles: the detail of
 * `/health` is wanted most when those are wrong.
 */
app.http('health-key', {
  methods: ['GET'],
  route: 'health/key',
  authLevel: 'function',
  handler: async () => ({ status: 204 }),
});
