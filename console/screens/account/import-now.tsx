import { useEffect, useRef, useState } from 'preact/hooks';
import type { Run } from '../../api/account.ts';
import { api, outcome } from '../../api/client.ts';
import { noAnswer, type Outcome, type Problem } from '../../api/problem.ts';
import { Button } from '../../parts/button.tsx';
import { Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';

/** Between two looks at a run, in ms. */
const lookMs = 1_000;

/** Without an answer for so many looks, the page stops looking. */
const maxMisses = 60;

export interface ImportNowProps {
  readonly account: string;
  readonly onDone: () => unknown;
}

/** Imports now, and counts up while the run goes on. */
export function ImportNow({ account, onDone }: ImportNowProps) {
  const [run, setRun] = useState<Run>();
  const [problem, setProblem] = useState<Problem>();
  const gone = useRef(new AbortController());
  useEffect(() => {
    gone.current = new AbortController();
    return () => gone.current.abort();
  }, [account]);
  const start = async () => {
    setProblem(undefined);
    setRun(undefined);
    const ended = await follow(account, gone.current.signal, setRun);
    if (gone.current.signal.aborted) return;
    if (!ended.ok) setProblem(ended.problem);
    await onDone();
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

/** Starts an import and follows it to its end. */
async function follow(account: string, signal: AbortSignal, show: (run: Run) => void): Promise<Outcome<Run>> {
  const started = await outcome(api.POST('/accounts/{account}/import', { params: { path: { account } }, signal }));
  if (!started.ok) return started;
  const { data } = started;
  const runId = 'runId' in data ? data.runId : 'id' in data ? data.id : undefined;
  if (runId === undefined) return { ok: false, problem: noAnswer };
  for (let misses = 0; misses < maxMisses && !signal.aborted; ) {
    const looked = await outcome(
      api.GET('/accounts/{account}/runs/{runId}', { params: { path: { account, runId } }, signal }),
    );
    if (looked.ok) show(looked.data);
    if (looked.ok && looked.data.status !== 'running') return looked;
    // A run that has only been queued is not there yet.
    misses = looked.ok ? 0 : misses + 1;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  return { ok: false, problem: noAnswer };
}

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
