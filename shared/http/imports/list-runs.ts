import { listRuns, runView } from '../../inbox/ledger/runs.ts';
import type { Answer, Call } from '../call.ts';
import { listAnswer, pageOf, parsePage } from '../paging.ts';

/** `GET /accounts/{account}/runs`: newest first. */
export async function handle({ param, request, services, signal }: Call): Promise<Answer> {
  const { top, ...from } = parsePage(request.query);
  const { account } = await services.accounts.get(param('account'), { signal });
  const runs = await listRuns(services.inbox, account.name, { ...from, signal, top: top + 1 });
  const { items, next } = pageOf(runs, top, ({ id }) => id);
  return { jsonBody: listAnswer(items.map(runView), next) };
}
