import { endpoint } from './endpoint.ts';

endpoint(
  'account-status',
  { method: 'GET', route: 'accounts/{account}/status', role: 'Mailroom.Read' },
  async ({ param, services, signal }) => {
    const { accountStatus } = await import('../shared/inbox/status.ts');
    const stored = await services.accounts.get(param('account'), { signal });
    return { jsonBody: await accountStatus(services.inbox, services.secrets, stored, { signal }) };
  },
);
