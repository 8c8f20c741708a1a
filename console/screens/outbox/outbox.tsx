import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import { noAnswer, type Problem } from '../../api/problem.ts';
import { useResource } from '../../api/resource.ts';
import { AccountField } from '../../parts/account-field.tsx';
import { addressWith, base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { SelectField, TextField } from '../../parts/field.tsx';
import { FilterForm, given, TimeFilter, useFilters } from '../../parts/filters.tsx';
import { Page } from '../../parts/page.tsx';
import { Pages } from '../../parts/pages.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Time } from '../../parts/time.tsx';
import { tell } from '../../parts/toast.tsx';
import { type Message, StatusPill, statusOf, statusOptions } from './statuses.tsx';

/** Mails on a page. */
const top = 50;

/** How often the list is loaded anew, in ms. */
const everyMs = 15_000;

/** Mail that was handed in: found, and followed. */
export function Outbox() {
  const { query } = useLocation();
  const filters = useFilters(['account', 'status', 'recipient', 'messageId', 'since', 'until']);
  const { typed, asked, set } = filters;
  const { status: askedStatus, ...others } = asked;
  const status = statusOf(askedStatus);
  const noStatus = askedStatus !== '' && status === undefined ? noSuchStatus(askedStatus) : undefined;
  const list = useResource(
    noStatus ? undefined : `messages ${JSON.stringify(asked)} ${query.continue ?? ''}`,
    (signal) =>
      outcome(
        api.GET('/messages', {
          params: { query: { top, ...given(others), ...given({ status, continue: query.continue }) } },
          signal,
        }),
      ),
    { everyMs },
  );
  const items = list.data?.items;
  return (
    <Page
      title="Outbox"
      actions={
        <>
          <a class="button main" href={addressWith(`${base}/outbox/write`, {}, { account: asked.account })}>
            Write a mail
          </a>
          {asked.account !== '' && <RetryAll account={asked.account} />}
          <Button busy={list.loading && items !== undefined} onClick={list.reload}>
            Refresh
          </Button>
        </>
      }
    >
      <FilterForm filters={filters} problem={noStatus ?? list.problem} retry={list.reload}>
        <TextField
          label="Recipient"
          pointer="/recipient"
          type="search"
          value={typed.recipient}
          onChange={(value) => set('recipient', value)}
          hint="The whole address"
        />
        <TextField
          label="Message-ID"
          pointer="/messageId"
          type="search"
          value={typed.messageId}
          onChange={(value) => set('messageId', value)}
        />
        <SelectField
          label="Status"
          pointer="/status"
          value={typed.status}
          options={statusOptions}
          onChange={(value) => set('status', value)}
        />
        <AccountField pointer="/account" value={typed.account} onChange={(value) => set('account', value)} />
        <TimeFilter filters={filters} name="since" label="Handed in since" />
        <TimeFilter filters={filters} name="until" label="Handed in before" />
      </FilterForm>
      {items === undefined && list.loading && !noStatus && <p role="status">Loading the mails …</p>}
      {items?.length === 0 && <NoMails more={list.data?.continue !== undefined} />}
      {items && items.length > 0 && (
        <Table caption="Mails, newest first" columns={columns} rows={items} keyOf={({ id }) => id} />
      )}
      <Pages next={list.data?.continue} label="Pages of mails" />
    </Page>
  );
}

function noSuchStatus(status: string): Problem {
  const detail = `There is no status ${status}.`;
  return { ...noAnswer, status: 400, text: detail, mistakes: [{ pointer: '/status', detail }] };
}

/** A search goes through so many mails at a time: a page without one that fits may have further ones behind it. */
function NoMails({ more }: { readonly more: boolean }) {
  return (
    <p>{more ? 'None of the mails looked through so far fits. Go on to the next page.' : 'There is no such mail.'}</p>
  );
}

function RetryAll({ account }: { readonly account: string }) {
  const [problem, setProblem] = useState<Problem>();
  const retry = async () => {
    const answer = await outcome(api.POST('/accounts/{account}/retry', { params: { path: { account } } }));
    setProblem(answer.ok ? undefined : answer.problem);
    if (answer.ok) tell(`All waiting mail of ${account} is tried now.`);
  };
  return (
    <>
      <Button needs="account-retry" onClick={retry}>
        Try all waiting mail of {account} now
      </Button>
      <ProblemBox problem={problem} />
    </>
  );
}

const columns: readonly Column<Message>[] = [
  {
    name: 'Recipients',
    cell: ({ id, recipients, messageId }) => (
      <>
        <a href={`${base}/outbox/${encodeURIComponent(id)}`}>{recipients[0]?.address ?? 'nobody'}</a>
        {recipients.length > 1 && ` and ${recipients.length - 1} more`}
        <div class="quiet">{messageId}</div>
      </>
    ),
  },
  { name: 'Status', cell: ({ status }) => <StatusPill status={status} /> },
  { name: 'Account', cell: ({ account }) => account },
  { name: 'Handed in', cell: ({ createdAt }) => <Time at={createdAt} /> },
  { name: 'Sent or next try', cell: (message) => <WhenNext message={message} /> },
  {
    name: 'Attempts',
    number: true,
    cell: ({ attempts }) => attempts.filter(({ outcome: became }) => became !== 'resend').length,
  },
];

function WhenNext({ message: { sentAt, nextAttemptAt, sendAt, status } }: { readonly message: Message }) {
  if (nextAttemptAt !== undefined)
    return (
      <>
        next try <Time at={nextAttemptAt} distance />
      </>
    );
  if (sentAt !== undefined) return <Time at={sentAt} />;
  if (status === 'scheduled' && sendAt !== undefined) return <Time at={sendAt} />;
  return <>–</>;
}
