import { useState } from 'preact/hooks';
import { useLocation, useRoute } from 'preact-iso';
import type { Status, Verification } from '../../api/account.ts';
import { api, outcome } from '../../api/client.ts';
import type { Problem } from '../../api/problem.ts';
import { useResource } from '../../api/resource.ts';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { Page, Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { tell } from '../../parts/toast.tsx';
import { AccountState } from '../accounts/account-state.tsx';
import { DayCharts } from './day-charts.tsx';
import { DeleteAccount } from './delete-account.tsx';
import { ImportNow } from './import-now.tsx';
import { StatusFacts } from './status-facts.tsx';
import { type AccountVersion, useAccount } from './use-account.ts';
import { VerifyResult } from './verify-result.tsx';

/** How often the status is loaded anew, in ms. */
const everyMs = 10_000;

/** One account: how it is doing, and what can be done about it. */
export function AccountScreen() {
  const { account: name = '' } = useRoute().params;
  const path = { account: name };
  const version = useAccount(name);
  const status = useResource(
    `status ${name}`,
    (signal) => outcome(api.GET('/accounts/{account}/status', { params: { path }, signal })),
    { everyMs },
  );
  const reload = () => Promise.all([version.reload(), status.reload()]);
  const [imports, setImports] = useState(0);
  const imported = () => {
    setImports((before) => before + 1);
    return status.reload();
  };
  return (
    <Page
      title={name}
      above={[{ name: 'Accounts', href: `${base}/accounts` }]}
      actions={<AccountActions name={name} version={version.data} onChanged={reload} />}
    >
      <ProblemBox problem={version.problem ?? status.problem} retry={reload} />
      {version.data && <p class="quiet">{version.data.account.from}</p>}
      {status.data ? <Overview status={status.data} /> : !status.problem && <p role="status">Loading the account …</p>}
      {version.data && <Trying name={name} />}
      {version.data?.account.store && (
        <ImportNow key={name} account={name} lastRun={status.data?.lastRun} onDone={imported} />
      )}
      <DayCharts account={name} changes={imports} />
    </Page>
  );
}

function Overview({ status }: { readonly status: Status }) {
  return (
    <>
      <p>
        <AccountState status={status} />
      </p>
      <StatusFacts status={status} />
    </>
  );
}

interface AccountActionsProps {
  readonly name: string;
  readonly version: AccountVersion | undefined;
  readonly onChanged: () => Promise<unknown>;
}

function AccountActions({ name, version, onChanged }: AccountActionsProps) {
  const { route } = useLocation();
  const [deleting, setDeleting] = useState(false);
  const enabled = version?.account.enabled;
  const setEnabled = async (to: boolean) => {
    const answer = await outcome(
      api.PATCH('/accounts/{account}', { params: { path: { account: name } }, body: { enabled: to } }),
    );
    if (!answer.ok) return tell(answer.problem.text);
    tell(to ? `${name} is enabled` : `${name} is disabled: it neither sends nor imports`, () => void setEnabled(!to));
    await onChanged();
  };
  return (
    <>
      <a class="button" href={`${base}/accounts/${name}/settings`}>
        Settings
      </a>
      {version?.account.store && (
        <a class="button" href={`${base}/accounts/${name}/import`}>
          Folders and dry run
        </a>
      )}
      {enabled !== undefined && (
        <Button needs="account-patch" onClick={() => setEnabled(!enabled)}>
          {enabled ? 'Disable' : 'Enable'}
        </Button>
      )}
      <Button kind="danger" needs="account-delete" onClick={() => setDeleting(true)}>
        Delete
      </Button>
      {deleting && (
        <DeleteAccount
          name={name}
          etag={version?.etag}
          onClose={() => setDeleting(false)}
          onDeleted={() => route(`${base}/accounts`)}
        />
      )}
    </>
  );
}

/** Tries the account as it is stored, and sends at once what waits. */
function Trying({ name }: { readonly name: string }) {
  const [found, setFound] = useState<Verification>();
  const [problem, setProblem] = useState<Problem>();
  const path = { account: name };
  const verify = async () => {
    const answer = await outcome(api.POST('/accounts/{account}/verify', { params: { path } }));
    setFound(answer.ok ? answer.data : undefined);
    setProblem(answer.ok ? undefined : answer.problem);
  };
  const retry = async () => {
    const answer = await outcome(api.POST('/accounts/{account}/retry', { params: { path } }));
    setProblem(answer.ok ? undefined : answer.problem);
    if (answer.ok) tell('All waiting mail is tried now');
  };
  return (
    <Section
      title="Does it work?"
      actions={
        <>
          <Button needs="account-verify" onClick={verify}>
            Verify
          </Button>
          <Button needs="account-retry" onClick={retry}>
            Try waiting mail now
          </Button>
        </>
      }
    >
      <p class="quiet">Verify tries every step of sending and importing. It sends and changes nothing.</p>
      <ProblemBox problem={problem} />
      <div role="status">{found && <VerifyResult found={found} />}</div>
    </Section>
  );
}
