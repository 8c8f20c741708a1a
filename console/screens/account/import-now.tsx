import { useEffect, useRef, useState } from 'preact/hooks';
import type { Run, Status } from '../../api/account.ts';
import { api, outcome } from '../../api/client.ts';
import { noAnswer, type Problem } from '../../api/problem.ts';
import { Button } from '../../parts/button.tsx';
import { Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';

/** Between two looks at a run, in ms. */
const lookMs = 1_000;

/** After so many looks without an answer, the page says that it sees nothing. */
const maxMisses = 60;

export interface ImportNowProps {
  readonly account: string;
  /** The last import of the account, as its status has it: one that is under way is shown, whoever began it. */
  readonly lastRun: Status['lastRun'] | undefined;
  readonly onDone: () => unknown;
}

/** Imports now, and counts up while a run goes on. */
export function ImportNow({ account, lastRun, onDone }: ImportNowProps) {
  const [run, setRun] = useState<Run>();
  const [problem, setProblem] = useState<Problem>();
  const gone = useRef(new AbortController());
  const followed = useRef<string>(undefined);
  useEffect(() => () => gone.current.abort(), []);
  const watch = async (runId: string) => {
    if (followed.current === runId) return;
    followed.current = runId;
    const { signal } = gone.current;
    const ended = await follow({ account, runId, signal }, (seen) => followed.current === runId && setRun(seen));
    if (signal.aborted || followed.current !== runId) return;
    followed.current = undefined;
    setProblem(ended);
    await onDone();
  };
  const underWay = lastRun?.status === 'running' ? lastRun.id : undefined;
  useEffect(() => {
    if (underWay !== undefined && followed.current === undefined) void watch(underWay);
  }, [underWay, lastRun]);
  const start = async () => {
    setProblem(undefined);
    setRun(undefined);
    const { signal } = gone.current;
    const started = await outcome(api.POST('/accounts/{account}/import', { params: { path: { account } }, signal }));
    if (!started.ok) return setProblem(started.problem);
    const { data } = started;
    if ('runId' in data) await watch(data.runId);
  };
  return (
    <Section
      title="Import"
      actions={
        <Button needs="account-import" onClick={start}>
          Import now
        </Button>
      }
    >
      <ProblemBox problem={problem} />
      <div role="status">{run && <RunText run={run} />}</div>
    </Section>
  );
}

interface Followed {
  readonly account: string;
  readonly runId: string;
  readonly signal: AbortSignal;
}

/** Follows an import to its end. Answers why it was lost sight of; undefined: it was not. */
async function follow({ account, runId, signal }: Followed, show: (run: Run) => unknown): Promise<Problem | undefined> {
  for (let misses = 0; misses < maxMisses && !signal.aborted; ) {
    const looked = await outcome(
      api.GET('/accounts/{account}/runs/{runId}', { params: { path: { account, runId } }, signal }),
    );
    if (looked.ok) show(looked.data);
    if (looked.ok && looked.data.status !== 'running') return undefined;
    misses = looked.ok ? 0 : misses + 1;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  return { ...noAnswer, text: outOfSight };
}

/** The import is the service's: that this page cannot see it changes nothing. */
const outOfSight =
  'The import was started, and goes on by itself. How far it is could not be seen for a while; it is shown here once it can be seen again.';

const states: Readonly<Record<Run['status'], string>> = {
  running: 'Importing …',
  done: 'Imported.',
  failed: 'The import failed.',
};

function RunText({ run }: { readonly run: Run }) {
  const { status, imported, skipped, pending, quarantined, disposed, error } = run;
  return (
    <div class={`notice ${status === 'failed' ? 'bad' : status === 'done' ? 'good' : 'idle'}`}>
      {states[status]} {imported} new, {skipped} known, {pending} tried again later, {quarantined} in quarantine,{' '}
      {disposed} originals marked, moved or deleted.
      {error && <p>{error}</p>}
    </div>
  );
}
