import { endpoint } from './endpoint.ts';

endpoint(
  'asset-delete',
  { method: 'DELETE', route: 'assets/{id}', role: 'Mailroom.Admin' },
  async ({ param, services, signal }) => {
    await services.assets.delete(param('id'), { signal });
    return { status: 204 };
  },
);
