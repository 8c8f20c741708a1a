import { useState } from 'preact/hooks';
import { useLocation, useRoute } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import type { Problem } from '../../api/problem.ts';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { Page, Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { tell } from '../../parts/toast.tsx';
import { useAccount } from '../account/use-account.ts';
import { DryRunPart } from './dry-run.tsx';
import { Folders } from './folders.tsx';

/** Every five minutes: the schedule of an account that says nothing else. */
const usualSchedule = '0 */5 * * * *';

/** Which folders are imported, what an import would do, and whether it is done by itself. */
export function ImportSetup() {
  const { account: name = '' } = useRoute().params;
  const { route } = useLocation();
  const version = useAccount(name);
  const [problem, setProblem] = useState<Problem>();
  const schedule = version.data?.account.import.schedule;
  const change = async (to: string | null) => {
    const answer = await outcome(
      api.PATCH('/accounts/{account}', {
        params: { path: { account: name } },
        body: { import: { schedule: to } },
      }),
    );
    setProblem(answer.ok ? undefined : answer.problem);
    if (!answer.ok) return;
    if (to === null) tell('Nothing is imported by itself any more', schedule ? () => void change(schedule) : undefined);
    else tell(to === usualSchedule ? 'Importing is on: every five minutes' : `Importing is on: ${to}`);
    if (to !== null && schedule === null) route(`${base}/accounts/${name}`);
    else await version.reload();
  };
  return (
    <Page
      title={`Import of ${name}`}
      above={[
        { name: 'Accounts', href: `${base}/accounts` },
        { name, href: `${base}/accounts/${name}` },
      ]}
    >
      <ProblemBox problem={version.problem} retry={version.reload} />
      {!version.data && !version.problem && <p role="status">Loading the account …</p>}
      {version.data && !version.data.account.store && <p>The account imports nothing.</p>}
      {version.data?.account.store && (
        <>
          <Folders
            account={name}
            save={async (folders) => {
              const answer = await outcome(
                api.PATCH('/accounts/{account}', {
                  params: { path: { account: name } },
                  body: { store: { folders } },
                }),
              );
              if (!answer.ok) return answer.problem;
              tell('The folders are saved');
              await version.reload();
              return undefined;
            }}
          />
          <DryRunPart account={name} />
          <Section title="By itself">
            <ProblemBox problem={problem} />
            {schedule === null ? (
              <p>Nothing is imported by itself yet. Turn it on when the dry run shows what you expect.</p>
            ) : (
              <p>
                Mail is imported by itself, by the schedule <code>{schedule}</code> (UTC).
              </p>
            )}
            {schedule === null ? (
              <Button kind="main" needs="account-patch" onClick={() => change(usualSchedule)}>
                Turn importing on
              </Button>
            ) : (
              <Button needs="account-patch" onClick={() => change(null)}>
                Turn importing off
              </Button>
            )}
          </Section>
        </>
      )}
    </Page>
  );
}
