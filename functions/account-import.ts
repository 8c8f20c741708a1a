import { endpoint } from './endpoint.ts';

endpoint(
  'account-import',
  { method: 'POST', route: 'accounts/{account}/import', role: 'Mailroom.Admin' },
  async ({ param, request, services, signal }) => {
    const { readJsonBody } = await import('../shared/http/json-body.ts');
    const { preferenceApplied, waitSeconds } = await import('../shared/http/prefer.ts');
    const { importNow } = await import('../shared/inbox/import-now.ts');
    const { runView } = await import('../shared/inbox/runs.ts');
    const stored = await services.accounts.get(param('account'), { signal });
    const input = await readJsonBody(request, { optional: true, signal });
    const wait = waitSeconds(request.headers);
    const result = await importNow(services.inbox, stored, input, { waitMs: (wait ?? 0) * 1000, signal });
    if (result.kind === 'dryRun') {
      return { jsonBody: { items: result.items } };
    }
    const { run } = result;
    const location = `/api/accounts/${stored.account.name}/runs/${run.id}`;
    if (wait !== undefined && run.status !== 'running') {
      return { jsonBody: runView(run), headers: { Location: location, ...preferenceApplied(wait) } };
    }
    return { status: 202, headers: { Location: location }, jsonBody: { runId: run.id, status: run.status } };
  },
);
