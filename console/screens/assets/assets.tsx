import { useLocation } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import { useResource } from '../../api/resource.ts';
import { AccountField } from '../../parts/account-field.tsx';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { FilterForm, given, TimeFilter, useFilters } from '../../parts/filters.tsx';
import { Page } from '../../parts/page.tsx';
import { Pages } from '../../parts/pages.tsx';
import { sizeText } from '../../parts/size.ts';
import { type Column, Table } from '../../parts/table.tsx';
import { Time } from '../../parts/time.tsx';
import { type AssetSummary, addressesText, Flags, subjectText } from './asset-parts.tsx';

/** Mails on a page. */
const top = 50;

/** Mail that was imported. */
export function Assets() {
  const { query } = useLocation();
  const filters = useFilters(['account', 'since', 'until']);
  const { typed, asked, set } = filters;
  const list = useResource(`assets ${JSON.stringify(asked)} ${query.continue ?? ''}`, (signal) =>
    outcome(
      api.GET('/assets', { params: { query: { top, ...given({ ...asked, continue: query.continue }) } }, signal }),
    ),
  );
  const items = list.data?.items;
  return (
    <Page
      title="Assets"
      actions={
        <Button busy={list.loading && items !== undefined} onClick={list.reload}>
          Refresh
        </Button>
      }
    >
      <FilterForm filters={filters} problem={list.problem} retry={list.reload}>
        <AccountField pointer="/account" value={typed.account} onChange={(value) => set('account', value)} />
        <TimeFilter filters={filters} name="since" label="Imported since" />
        <TimeFilter filters={filters} name="until" label="Imported before" />
      </FilterForm>
      {items === undefined && list.loading && <p role="status">Loading the mails …</p>}
      {items?.length === 0 && <p>Nothing was imported that fits.</p>}
      {items && items.length > 0 && (
        <Table caption="Imported mails, newest first" columns={columns} rows={items} keyOf={({ id }) => id} />
      )}
      <Pages next={list.data?.continue} label="Pages of mails" />
    </Page>
  );
}

const columns: readonly Column<AssetSummary>[] = [
  {
    name: 'Subject',
    cell: (asset) => (
      <>
        <a href={`${base}/assets/${encodeURIComponent(asset.id)}`}>{subjectText(asset.subject)}</a>{' '}
        <Flags asset={asset} />
        <div class="quiet">{addressesText(asset.from)}</div>
      </>
    ),
  },
  {
    name: 'Account',
    cell: ({ account, folder }) => (
      <>
        {account} <span class="quiet">{folder}</span>
      </>
    ),
  },
  { name: 'Imported', cell: ({ importedAt }) => <Time at={importedAt} /> },
  { name: 'Files', number: true, cell: ({ attachmentCount }) => attachmentCount },
  { name: 'Size', number: true, cell: ({ size }) => sizeText(size) },
];
