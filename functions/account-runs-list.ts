import { endpoint } from './endpoint.ts';

endpoint(
  'account-runs-list',
  { method: 'GET', route: 'accounts/{account}/runs', role: 'Mailroom.Read' },
  async ({ param, request, services, signal }) => {
    const { encodeContinue, parsePaging } = await import('../shared/http/paging.ts');
    const { listToken } = await import('../shared/http/name-pages.ts');
    const { listRuns, runView } = await import('../shared/inbox/runs.ts');
    const { account } = await services.accounts.get(param('account'), { signal });
    const { top, continue: token } = parsePaging(request.query, listToken);
    const runs = await listRuns(services.inbox, account.name, {
      signal,
      // One more than is answered tells whether there is another page.
      top: top + 1,
      ...(token ? { after: token.after } : {}),
    });
    const page = runs.slice(0, top);
    const last = page.at(-1);
    return {
      jsonBody: {
        items: page.map(runView),
        ...(runs.length > top && last ? { continue: encodeContinue({ after: last.id }) } : {}),
      },
    };
  },
);
