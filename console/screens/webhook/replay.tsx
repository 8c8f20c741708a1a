import { useState } from 'preact/hooks';
import { api, outcome } from '../../api/client.ts';
import type { Problem } from '../../api/problem.ts';
import { Button } from '../../parts/button.tsx';
import { TextField } from '../../parts/field.tsx';
import { Form } from '../../parts/form.tsx';
import { fromLocalInput, toLocalInput } from '../../parts/local-time.ts';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { tell } from '../../parts/toast.tsx';

/** Given-up events are kept so long, in ms. */
const keptMs = 30 * 86_400_000;

export interface ReplayProps {
  readonly account: string;
  readonly givenUp: number;
  readonly reload: () => Promise<void>;
}

/** Sends again what was given up. */
export function Replay({ account, givenUp, reload }: ReplayProps) {
  const [since, setSince] = useState(() => new Date(Date.now() - keptMs).toISOString());
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const replay = async () => {
    if (busy) return;
    setBusy(true);
    const answer = await outcome(
      api.POST('/accounts/{account}/webhook/replay', { params: { path: { account } }, body: { since } }),
    );
    setBusy(false);
    setProblem(answer.ok ? undefined : answer.problem);
    if (!answer.ok) return;
    const { replayed, more } = answer.data;
    const what = replayed === 1 ? 'One event is' : `${replayed} events are`;
    tell(`${what} sent again.${more ? ' There are more: send again.' : ''}`);
    await reload();
  };
  return (
    <Form problem={problem} onSubmit={replay} label="Send given-up events again">
      <TextField
        label="Events that happened since"
        pointer="/since"
        type="datetime-local"
        value={toLocalInput(since)}
        onChange={(text) => setSince(fromLocalInput(text))}
      />
      <ProblemBox problem={problem} />
      <div class="actions">
        <Button
          submit
          needs="account-webhook-replay"
          busy={busy}
          notNow={givenUp === 0 ? 'No event was given up.' : undefined}
        >
          Send them again
        </Button>
      </div>
    </Form>
  );
}
