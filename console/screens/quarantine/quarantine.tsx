import { useLocation } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import type { components } from '../../api/openapi.d.ts';
import { useResource } from '../../api/resource.ts';
import { AccountField } from '../../parts/account-field.tsx';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { FilterForm, given, useFilters } from '../../parts/filters.tsx';
import { Page } from '../../parts/page.tsx';
import { Pages } from '../../parts/pages.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Time } from '../../parts/time.tsx';
import { reasonText } from './reason-text.ts';

type QuarantinedMail = components['schemas']['QuarantinedMail'];

/** Mails on a page. */
const top = 50;

/** Mail that could not be checked in, each with the reason. */
export function Quarantine() {
  const { query } = useLocation();
  const filters = useFilters(['account']);
  const { typed, asked, set } = filters;
  const list = useResource(`quarantine ${asked.account} ${query.continue ?? ''}`, (signal) =>
    outcome(
      api.GET('/quarantine', { params: { query: { top, ...given({ ...asked, continue: query.continue }) } }, signal }),
    ),
  );
  const items = list.data?.items;
  return (
    <Page
      title="Quarantine"
      actions={
        <Button busy={list.loading && items !== undefined} onClick={list.reload}>
          Refresh
        </Button>
      }
    >
      <p class="quiet">
        Mail that could not be checked in five times. Its original stays in the mailbox, whatever the account says.
      </p>
      <FilterForm filters={filters} problem={list.problem} retry={list.reload}>
        <AccountField pointer="/account" value={typed.account} onChange={(value) => set('account', value)} />
      </FilterForm>
      {items === undefined && list.loading && <p role="status">Loading the quarantine …</p>}
      {items?.length === 0 && <p>Nothing is in quarantine.</p>}
      {items && items.length > 0 && (
        <Table caption="Quarantined mails, newest first" columns={columns} rows={items} keyOf={({ id }) => id} />
      )}
      <Pages next={list.data?.continue} label="Pages of mails" />
    </Page>
  );
}

const columns: readonly Column<QuarantinedMail>[] = [
  {
    name: 'Reason',
    cell: ({ id, reason }) => <a href={`${base}/quarantine/${encodeURIComponent(id)}`}>{reasonText(reason)}</a>,
  },
  {
    name: 'Account',
    cell: ({ account, folder }) => (
      <>
        {account} <span class="quiet">{folder}</span>
      </>
    ),
  },
  { name: 'Since', cell: ({ quarantinedAt }) => <Time at={quarantinedAt} /> },
  { name: 'Attempts', number: true, cell: ({ attempts }) => attempts },
  { name: 'Its bytes', cell: ({ hasMime }) => (hasMime ? 'kept' : 'not given by the server') },
];
