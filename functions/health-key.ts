import { endpoint } from './endpoint.ts';

/** Says no more than that the caller's key is good (see health.ts). */
endpoint('health-key', { method: 'GET', route: 'health/key', role: 'Mailroom.Read' }, async () => ({ status: 204 }));
