import { endpoint } from './endpoint.ts';

endpoint(
  'asset-get',
  { method: 'GET', route: 'assets/{id}', role: 'Mailroom.Read' },
  async ({ param, services, signal }) => ({ jsonBody: await services.assets.get(param('id'), { signal }) }),
);
