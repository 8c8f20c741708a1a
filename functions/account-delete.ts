import { endpoint } from './endpoint.ts';

endpoint('account-delete', { method: 'DELETE', route: 'accounts/{account}', role: 'Mailroom.Admin' }, async (call) => {
  const { checkPreconditions } = await import('../shared/http/conditional.ts');
  const { request, signal } = call;
  const { accounts, outbox } = call.services;
  await accounts.delete(call.param('account'), (etag) => checkPreconditions(request.headers, etag), { signal });
  await outbox.health.forget(call.param('account'), ['transport', 'store']);
  return { status: 204 };
});
