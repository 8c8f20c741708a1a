import { useEffect, useState } from 'preact/hooks';
import type { DryRun } from '../../api/account.ts';
import { api, outcome } from '../../api/client.ts';
import type { Problem } from '../../api/problem.ts';
import { Button } from '../../parts/button.tsx';
import { countOf } from '../../parts/count.ts';
import { Section } from '../../parts/page.tsx';
import { PagedTable } from '../../parts/paged-table.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import type { Column } from '../../parts/table.tsx';
import { Time } from '../../parts/time.tsx';

type Item = DryRun['items'][number];

/** Says of each mail what an import would do with it, and what would become of its original; nothing changes. */
export function DryRunPart({ account }: { readonly account: string }) {
  const [found, setFound] = useState<DryRun>();
  const [problem, setProblem] = useState<Problem>();
  const [since, setSince] = useState<number>();
  const start = async () => {
    setProblem(undefined);
    setSince(Date.now());
    const answer = await outcome(
      api.POST('/accounts/{account}/import', { params: { path: { account } }, body: { dryRun: true } }),
    );
    setSince(undefined);
    if (!answer.ok) return setProblem(answer.problem);
    if ('items' in answer.data) setFound(answer.data);
  };
  return (
    <Section
      title="Dry run"
      actions={
        <Button needs="account-import" onClick={start}>
          {found ? 'Try again' : 'Try without changing anything'}
        </Button>
      }
    >
      <p class="quiet">What an import would do now, mail by mail, and what would become of each original.</p>
      <ProblemBox problem={problem} />
      <div role="status">
        {since !== undefined ? (
          <Seconds since={since} />
        ) : (
          found && `${countOf(found.items.length, 'mail')}: ${summary(found.items) || 'nothing is there to import'}.`
        )}
      </div>
      {found?.error && <p class="notice bad">{found.error}</p>}
      {found && found.items.length > 0 && (
        <PagedTable
          caption="What an import would do"
          columns={columns}
          rows={found.items}
          keyOf={({ sourceId }) => sourceId}
        />
      )}
    </Section>
  );
}

function Seconds({ since }: { readonly since: number }) {
  const [now, setNow] = useState(since);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.round((now - since) / 1000);
  return <>Going through the mailbox … {seconds > 1 && <span aria-hidden="true">{seconds} s</span>}</>;
}

const actions: Readonly<Record<Item['action'], string>> = {
  import: 'import',
  importHeaders: 'import its headers alone',
  skip: 'skip',
  retry: 'try again',
};

function summary(items: readonly Item[]): string {
  const counts = new Map<string, number>();
  for (const { action } of items) counts.set(action, (counts.get(action) ?? 0) + 1);
  return Object.entries(actions)
    .filter(([action]) => counts.has(action))
    .map(([action, text]) => `${counts.get(action)} to ${text}`)
    .join(', ');
}

const columns: readonly Column<Item>[] = [
  {
    name: 'Subject',
    cell: ({ subject, messageId }) => subject || <span class="quiet">{messageId ?? 'without a subject'}</span>,
  },
  { name: 'Folder', cell: ({ folder }) => folder },
  { name: 'Received', cell: ({ receivedAt }) => receivedAt && <Time at={receivedAt} /> },
  { name: 'Would be', cell: ({ action, reason }) => `${actions[action]} (${reason})` },
  { name: 'Original', cell: ({ disposal }) => disposal },
];
