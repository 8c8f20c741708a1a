import { useState } from 'preact/hooks';
import { useLocation, useRoute } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import { saveAs } from '../../api/download.ts';
import type { paths } from '../../api/openapi.d.ts';
import type { Problem } from '../../api/problem.ts';
import { useResource } from '../../api/resource.ts';
import { addressWith, base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { Confirm } from '../../parts/dialog.tsx';
import { Page } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { sizeText } from '../../parts/size.ts';
import { Time } from '../../parts/time.tsx';
import { tell } from '../../parts/toast.tsx';
import { reasonText } from './reason-text.ts';

type Details = paths['/quarantine/{id}']['get']['responses'][200]['content']['application/json'];

/** One quarantined mail: why it is here, and what can be done with it. */
export function QuarantinedMailScreen() {
  const { id = '' } = useRoute().params;
  const mail = useResource(`quarantined ${id}`, (signal) =>
    outcome(api.GET('/quarantine/{id}', { params: { path: { id } }, signal })),
  );
  const { data } = mail;
  return (
    <Page title="A mail in quarantine" above={[{ name: 'Quarantine', href: `${base}/quarantine` }]}>
      <ProblemBox problem={mail.problem} retry={mail.reload} />
      {!data && mail.loading && <p role="status">Loading the mail …</p>}
      {data && (
        <>
          <div class="notice warn">
            <p>{reasonText(data.reason)}</p>
          </div>
          <Actions mail={data} />
          <Facts mail={data} />
        </>
      )}
    </Page>
  );
}

function Actions({ mail: { id, hasMime } }: { readonly mail: Details }) {
  const { route } = useLocation();
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const params = { params: { path: { id } } };
  const replay = async () => {
    const answer = await outcome(api.POST('/quarantine/{id}/replay', params));
    setProblem(answer.ok ? undefined : answer.problem);
    if (!answer.ok) return;
    tell('The mail is checked in.');
    route(`${base}/assets/${encodeURIComponent(answer.data.id)}`);
  };
  const drop = async () => {
    const answer = await outcome(api.DELETE('/quarantine/{id}', params));
    setAsked(false);
    setProblem(answer.ok ? undefined : answer.problem);
    if (!answer.ok) return;
    tell('The mail is dropped.');
    route(`${base}/quarantine`);
  };
  const download = async () => {
    const bytes = outcome(api.GET('/quarantine/{id}/mime', { ...params, parseAs: 'blob' }));
    const answer = await saveAs(`${id}.eml`, bytes);
    setProblem(answer.ok ? undefined : answer.problem);
  };
  return (
    <>
      <div class="actions">
        <Button kind="main" needs="quarantine-replay" onClick={replay}>
          Check it in again
        </Button>
        <Button
          needs="quarantine-mime"
          notNow={hasMime ? undefined : 'The server gave no bytes of this mail.'}
          onClick={download}
        >
          Download as MIME
        </Button>
        <Button kind="danger" needs="quarantine-delete" onClick={() => setAsked(true)}>
          Drop
        </Button>
      </div>
      <ProblemBox problem={problem} />
      {asked && (
        <Confirm
          title="Drop this mail?"
          verb="Drop"
          needs="quarantine-delete"
          onConfirm={drop}
          onClose={() => setAsked(false)}
        >
          <p>
            What is kept of it here is removed for good, and it is not imported again. Its original stays in the
            mailbox.
          </p>
        </Confirm>
      )}
    </>
  );
}

function Facts({ mail }: { readonly mail: Details }) {
  const { account, folder, quarantinedAt, receivedAt, attempts, size, sourceId } = mail;
  return (
    <dl class="facts">
      <div>
        <dt>Account</dt>
        <dd>
          <a href={addressWith(`${base}/quarantine`, {}, { account })}>{account}</a>
        </dd>
      </div>
      <div>
        <dt>Folder</dt>
        <dd>{folder}</dd>
      </div>
      <div>
        <dt>In quarantine since</dt>
        <dd>
          <Time at={quarantinedAt} />
        </dd>
      </div>
      <div>
        <dt>Received</dt>
        <dd>{receivedAt === null ? 'not known' : <Time at={receivedAt} />}</dd>
      </div>
      <div>
        <dt>Attempts</dt>
        <dd>{attempts}</dd>
      </div>
      <div>
        <dt>Size</dt>
        <dd>{size === null ? 'not known' : sizeText(size)}</dd>
      </div>
      <div>
        <dt>Where it lies</dt>
        <dd>
          <code>{sourceId}</code>
        </dd>
      </div>
    </dl>
  );
}
