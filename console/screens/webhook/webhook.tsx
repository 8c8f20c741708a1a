import { useRoute } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import { useResource } from '../../api/resource.ts';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { Page, Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Time } from '../../parts/time.tsx';
import { Replay } from './replay.tsx';
import { Test } from './test.tsx';
import { WebhookForm } from './webhook-form.tsx';
import { answerText, stateText, type Webhook, WebhookState } from './webhook-state.tsx';

/** How often it is looked at, in ms. */
const everyMs = 10_000;

/** The webhook of an account: how deliveries go, and what can be done. */
export function WebhookScreen() {
  const { account = '' } = useRoute().params;
  const webhook = useResource(
    `webhook ${account}`,
    (signal) => outcome(api.GET('/accounts/{account}/webhook', { params: { path: { account } }, signal })),
    { everyMs },
  );
  const { data } = webhook;
  return (
    <Page
      title={`Webhook of ${account}`}
      above={[{ name: 'Webhooks', href: `${base}/webhook` }]}
      actions={
        <Button busy={webhook.loading && data !== undefined} onClick={webhook.reload}>
          Refresh
        </Button>
      }
    >
      <ProblemBox problem={webhook.problem} retry={webhook.reload} />
      {!data && webhook.loading && <p role="status">Loading the webhook …</p>}
      {data && (
        <>
          {data.state !== 'none' && <Deliveries webhook={data} reload={webhook.reload} />}
          <WebhookForm key={account} account={account} reload={webhook.reload} />
        </>
      )}
    </Page>
  );
}

function Deliveries({ webhook, reload }: { readonly webhook: Webhook; readonly reload: () => Promise<void> }) {
  return (
    <>
      <p>
        <WebhookState state={webhook.state} /> {stateText(webhook.state)}
      </p>
      <dl class="facts">
        <div>
          <dt>Events that wait</dt>
          <dd>{webhook.waiting}</dd>
        </div>
        <div>
          <dt>Given up within 30 days</dt>
          <dd>{webhook.givenUp}</dd>
        </div>
        {(
          [
            ['Last success', webhook.lastSuccess],
            ['Fails since', webhook.failingSince],
            ['Next attempt', webhook.nextAttemptAt],
          ] as const
        ).map(([name, at]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{at === null ? '–' : <Time at={at} />}</dd>
          </div>
        ))}
      </dl>
      <Test account={webhook.account} reload={reload} />
      <Section title="Attempts that failed">
        {webhook.lastFailures.length === 0 ? (
          <p>None of late.</p>
        ) : (
          <Table
            caption="Attempts that failed, the last one first"
            columns={failureColumns}
            rows={webhook.lastFailures}
            keyOf={({ at, id, attempt }) => `${at} ${id} ${attempt}`}
          />
        )}
      </Section>
      <Section title="Events that were given up">
        {webhook.lastGivenUp.length === 0 ? (
          <p>None within 30 days.</p>
        ) : (
          <Table
            caption="Events that were given up, the last one first"
            columns={givenUpColumns}
            rows={webhook.lastGivenUp}
            keyOf={({ id }) => id}
          />
        )}
        <Replay account={webhook.account} givenUp={webhook.givenUp} reload={reload} />
      </Section>
    </>
  );
}

const failureColumns: readonly Column<Webhook['lastFailures'][number]>[] = [
  { name: 'Event', cell: ({ type }) => type },
  { name: 'When', cell: ({ at }) => <Time at={at} /> },
  { name: 'Attempt', number: true, cell: ({ attempt }) => attempt },
  { name: 'Answer', cell: answerText },
  { name: 'What to do', cell: ({ hint }) => hint },
];

const givenUpColumns: readonly Column<Webhook['lastGivenUp'][number]>[] = [
  { name: 'Event', cell: ({ type }) => type },
  { name: 'Happened', cell: ({ time }) => <Time at={time} /> },
  { name: 'Given up', cell: ({ givenUpAt }) => <Time at={givenUpAt} /> },
  { name: 'Attempts', number: true, cell: ({ attempts }) => attempts },
  { name: 'Answer', cell: answerText },
];
