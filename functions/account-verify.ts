import { endpoint } from './endpoint.ts';

endpoint(
  'account-verify',
  { method: 'POST', route: 'accounts/{account}/verify', role: 'Mailroom.Admin' },
  async ({ param, services, signal }) => {
    const { verifyAccount } = await import('../shared/accounts/verify.ts');
    const { account } = await services.accounts.get(param('account'), { signal });
    const { outbox, inbox } = services;
    const context = { transport: outbox.transport, store: inbox.store, sentCopies: outbox.sentCopies };
    return { jsonBody: await verifyAccount(context, account, { signal }) };
  },
);
