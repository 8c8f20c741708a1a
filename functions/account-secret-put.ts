import { endpoint } from './endpoint.ts';

endpoint(
  'account-secret-put',
  { method: 'PUT', route: 'accounts/{account}/secrets/{name}', role: 'Mailroom.Admin' },
  async (call) => {
    const { readJsonBody } = await import('../shared/http/json-body.ts');
    const { putSecret } = await import('../shared/secrets/put-secret.ts');
    const { signal } = call;
    const input = await readJsonBody(call.request, { signal });
    const receipt = await putSecret(call.services, call.param('account'), call.param('name'), input, {
      signal,
    });
    return { jsonBody: receipt };
  },
);
