import { findRun } from '../../inbox/find-run.ts';
import { runView } from '../../inbox/ledger/runs.ts';
import type { Answer, Call } from '../call.ts';
import { HttpProblem } from '../problem.ts';

/** `GET /accounts/{account}/runs/{runId}`. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  const { account } = await services.accounts.get(param('account'), { signal });
  const run = await findRun(services.inbox, account.name, param('runId'), { signal });
  if (!run) throw new HttpProblem(404, 'The account has no run with this id.');
  return { jsonBody: runView(run) };
}
