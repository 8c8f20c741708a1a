import { endpoint } from './endpoint.ts';

endpoint('account-get', { method: 'GET', route: 'accounts/{account}', role: 'Mailroom.Read' }, async (call) => {
  const { account, etag } = await call.services.accounts.get(call.param('account'), { signal: call.signal });
  return { jsonBody: account, headers: { ETag: etag } };
});
