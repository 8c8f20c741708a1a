import { useState } from 'preact/hooks';
import { api, outcome } from '../../api/client.ts';
import type { paths } from '../../api/openapi.d.ts';
import type { Problem } from '../../api/problem.ts';
import { Button } from '../../parts/button.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { answerText } from './webhook-state.tsx';

type Result = paths['/accounts/{account}/webhook/test']['post']['responses'][200]['content']['application/json'];

/** Sends a test event now, and tells what came back. */
export function Test({ account, reload }: { readonly account: string; readonly reload: () => Promise<void> }) {
  const [result, setResult] = useState<Result>();
  const [problem, setProblem] = useState<Problem>();
  const test = async () => {
    const answer = await outcome(api.POST('/accounts/{account}/webhook/test', { params: { path: { account } } }));
    setResult(answer.ok ? answer.data : undefined);
    setProblem(answer.ok ? undefined : answer.problem);
    await reload();
  };
  return (
    <>
      <div class="actions">
        <Button needs="account-webhook-test" onClick={test}>
          Send a test event
        </Button>
      </div>
      <ProblemBox problem={problem} />
      <div role="status" class={result ? `notice ${result.delivered ? 'good' : 'bad'}` : 'hidden'}>
        {result && (
          <p>
            {result.delivered ? 'The receiver took the test event' : 'The receiver did not take the test event'} (
            {answerText(result)}, {result.ms} ms). {result.hint}
          </p>
        )}
      </div>
    </>
  );
}
