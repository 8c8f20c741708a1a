import { endpoint } from './endpoint.ts';

endpoint(
  'messages-list',
  { method: 'GET', route: 'messages', role: 'Mailroom.Read' },
  async ({ request, services, signal }) => {
    const { listAll } = await import('../shared/outbox/list-all.ts');
    return { jsonBody: await listAll(services.outbox, request.query, { signal }) };
  },
);
