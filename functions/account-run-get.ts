import { endpoint } from './endpoint.ts';

endpoint(
  'account-run-get',
  { method: 'GET', route: 'accounts/{account}/runs/{runId}', role: 'Mailroom.Read' },
  async ({ param, services, signal }) => {
    const { HttpProblem } = await import('../shared/http/problem.ts');
    const { getRun, runView } = await import('../shared/inbox/runs.ts');
    const { account } = await services.accounts.get(param('account'), { signal });
    const run = await getRun(services.inbox, account.name, param('runId'), { signal });
    if (!run) {
      throw new HttpProblem(404, 'The account has no run with this id.');
    }
    return { jsonBody: runView(run) };
  },
);
