import { endpoint } from './endpoint.ts';

endpoint('account-delete', { method: 'DELETE', route: 'accounts/{account}', role: 'Mailroom.Admin' }, async (call) => {
  const { checkPreconditions } = await import('../shared/http/conditional.ts');
  const { request, signal } = call;
  await call.services.accounts.delete(call.param('account'), (etag) => checkPreconditions(request.headers, etag), {
    signal,
  });
  return { status: 204 };
});
