import { useEffect, useState } from 'preact/hooks';
import { useRoute } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import { useResource } from '../../api/resource.ts';
import { addressWith, base } from '../../parts/address.ts';
import { Page, Section } from '../../parts/page.tsx';
import { PagedTable } from '../../parts/paged-table.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import type { Column } from '../../parts/table.tsx';
import { Time } from '../../parts/time.tsx';
import { MessageActions } from './message-actions.tsx';
import { isOpen, type Message, RecipientPill, StatusPill } from './statuses.tsx';
import { WaitingReason } from './waiting-reason.tsx';

/** How often the mail is looked at, in ms: while it changes by itself, and later, when it may still bounce. */
const openMs = 2_000;
const endedMs = 30_000;

/** One mail: what became of it, for whom, and why; and what can be done. */
export function MessageScreen() {
  const { id = '' } = useRoute().params;
  const [everyMs, setEveryMs] = useState(openMs);
  const message = useResource(
    `message ${id}`,
    (signal) => outcome(api.GET('/messages/{id}', { params: { path: { id } }, signal })),
    { everyMs },
  );
  const { data } = message;
  const open = data === undefined || isOpen(data.status);
  useEffect(() => setEveryMs(open ? openMs : endedMs), [open]);
  return (
    <Page title="A mail" above={[{ name: 'Outbox', href: `${base}/outbox` }]}>
      <ProblemBox problem={message.problem} retry={message.reload} />
      {!data && message.loading && <p role="status">Loading the mail …</p>}
      {data && <MessageView message={data} reload={message.reload} />}
    </Page>
  );
}

function MessageView({ message, reload }: { readonly message: Message; readonly reload: () => Promise<void> }) {
  return (
    <>
      <div role="status">
        <p>
          <StatusPill status={message.status} /> <Explanation message={message} />
        </p>
      </div>
      {['scheduled', 'queued'].includes(message.status) && <WaitingReason account={message.account} />}
      <MessageActions message={message} reload={reload} />
      <Facts message={message} />
      <Section title="Recipients">
        <PagedTable
          caption="Recipients, and what became of the mail for each"
          columns={recipientColumns}
          rows={message.recipients}
          keyOf={({ address }) => address}
        />
      </Section>
      <Section title="Attempts">
        {message.attempts.length === 0 ? (
          <p>There was none yet.</p>
        ) : (
          <PagedTable
            caption="Attempts, the last one first"
            columns={attemptColumns}
            rows={[...message.attempts].reverse()}
            keyOf={({ at, outcome: became }) => `${at} ${became}`}
          />
        )}
      </Section>
    </>
  );
}

/** What its status means for whoever waits for it. */
function Explanation({ message: { status, nextAttemptAt, sendAt } }: { readonly message: Message }) {
  switch (status) {
    case 'scheduled':
      return <>It is sent {sendAt === undefined ? 'later' : <Time at={sendAt} />}.</>;
    case 'queued':
      if (nextAttemptAt === undefined) return <>Its turn comes.</>;
      return (
        <>
          It is tried again <Time at={nextAttemptAt} distance />.
        </>
      );
    case 'sending':
      return <>It is on its way to the mail server.</>;
    case 'uncertain':
      return (
        <>
          The line was lost after the last bytes had left: it may have arrived, and is not sent again by itself. Ask a
          recipient, then resend it if it is missing.
        </>
      );
    case 'partiallySent':
      return <>Some recipients have it, others do not.</>;
    case 'failed':
      return <>Nothing more is tried. The reply of the mail server says why.</>;
    case 'canceled':
      return <>Somebody has taken it back.</>;
    case 'sent':
      return <>The mail server has taken it for every recipient.</>;
  }
}

function Facts({ message }: { readonly message: Message }) {
  const { account, messageId, createdAt, sentAt, sentCopy, metadata = {} } = message;
  return (
    <dl class="facts">
      <div>
        <dt>Account</dt>
        <dd>
          <a href={`${base}/accounts/${account}`}>{account}</a>{' '}
          <span class="quiet">
            (<a href={addressWith(`${base}/outbox`, {}, { account })}>its mail</a>)
          </span>
        </dd>
      </div>
      <div>
        <dt>Handed in</dt>
        <dd>
          <Time at={createdAt} />
        </dd>
      </div>
      {sentAt !== undefined && (
        <div>
          <dt>Sent</dt>
          <dd>
            <Time at={sentAt} />
          </dd>
        </div>
      )}
      <div>
        <dt>Message-ID</dt>
        <dd>
          <code>{messageId}</code>
        </dd>
      </div>
      {sentCopy !== undefined && (
        <div>
          <dt>Copy in Sent</dt>
          <dd>{sentCopy}</dd>
        </div>
      )}
      {Object.entries(metadata).map(([name, value]) => (
        <div key={name}>
          <dt>{name} (the caller’s)</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const recipientColumns: readonly Column<Message['recipients'][number]>[] = [
  { name: 'Address', cell: ({ address }) => address },
  { name: 'Status', cell: ({ status }) => <RecipientPill status={status} /> },
  { name: 'Code', cell: ({ code }) => code },
  { name: 'The server said', cell: ({ reply }) => reply },
];

const attemptColumns: readonly Column<Message['attempts'][number]>[] = [
  { name: 'When', cell: ({ at }) => <Time at={at} /> },
  { name: 'Outcome', cell: ({ outcome: became }) => (became === 'resend' ? 'resent by a person' : became) },
  { name: 'Code', cell: ({ code }) => code },
  { name: 'The server said', cell: ({ reply }) => reply },
];
