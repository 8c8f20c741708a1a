import { endpoint } from './endpoint.ts';

endpoint('account-put', { method: 'PUT', route: 'accounts/{account}', role: 'Mailroom.Admin' }, async (call) => {
  const { readJsonBody } = await import('../shared/http/json-body.ts');
  const { checkPreconditions } = await import('../shared/http/conditional.ts');
  const { request, signal } = call;
  const input = await readJsonBody(request, { signal });
  const saved = await call.services.accounts.save(
    call.param('account'),
    input,
    (etag) => checkPreconditions(request.headers, etag),
    { signal },
  );
  return {
    status: saved.created ? 201 : 200,
    headers: { ETag: saved.etag, ...(saved.created ? { Location: `/api/accounts/${saved.account.name}` } : {}) },
    jsonBody: { ...saved.account, warnings: saved.warnings },
  };
});
