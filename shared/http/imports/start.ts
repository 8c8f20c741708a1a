import { importNow } from '../../inbox/import-now.ts';
import { runView } from '../../inbox/ledger/runs.ts';
import type { Answer, Call } from '../call.ts';
import { readJsonBody } from '../json-body.ts';
import { preferenceApplied, waitSeconds } from '../prefer.ts';
import type { StartedRun } from './answers.ts';

/**
 * `POST /accounts/{account}/import`: 202 with where to follow the run, or the run itself if it ended while the caller
 * waited; of a dry run, what it would do.
 */
export async function handle({ param, request, services, signal }: Call): Promise<Answer> {
  const stored = await services.accounts.get(param('account'), { signal });
  const input = await readJsonBody(request, { optional: true });
  const wait = waitSeconds(request.headers);
  const result = await importNow(services.inbox, stored, input, { waitMs: (wait ?? 0) * 1000, signal });
  if (result.kind === 'dryRun') {
    const { kind: _, ...dryRun } = result;
    return { jsonBody: dryRun };
  }
  const { run } = result;
  const location = `/api/accounts/${stored.account.name}/runs/${run.id}`;
  if (wait !== undefined && run.status !== 'running') {
    return { jsonBody: runView(run), headers: { Location: location, ...preferenceApplied(wait) } };
  }
  const started: StartedRun = { runId: run.id, status: run.status };
  return { status: 202, headers: { Location: location }, jsonBody: started };
}
