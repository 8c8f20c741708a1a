import { endpoint } from './endpoint.ts';

endpoint(
  'assets-list',
  { method: 'GET', route: 'assets', role: 'Mailroom.Read' },
  async ({ request, services, signal }) => {
    const { listAssets } = await import('../shared/assets/list-assets.ts');
    const names = () => services.accounts.everyName({ signal });
    return { jsonBody: await listAssets(services.assets, names, request.query, { signal }) };
  },
);
