import { endpoint } from './endpoint.ts';

endpoint('account-put', { method: 'PUT', route: 'accounts/{account}', role: 'Mailroom.Admin' }, async (call) => {
  const { readJsonBody } = await import('../shared/http/json-body.ts');
  const { checkPreconditions } = await import('../shared/http/conditional.ts');
  const { putAccount } = await import('../shared/accounts/put-account.ts');
  const { request, signal } = call;
  const saved = await putAccount(
    call.services,
    call.param('account'),
    await readJsonBody(request, { signal }),
    (etag) => checkPreconditions(request.headers, etag),
    { signal },
  );
  const gone = (['transport', 'store'] as const).filter((side) => !saved.account[side]);
  await call.services.outbox.health.forget(saved.account.name, gone);
  return {
    status: saved.created ? 201 : 200,
    headers: { ETag: saved.etag, ...(saved.created ? { Location: `/api/accounts/${saved.account.name}` } : {}) },
    jsonBody: { ...saved.account, warnings: saved.warnings, ...(saved.report ? { report: saved.report } : {}) },
  };
});
