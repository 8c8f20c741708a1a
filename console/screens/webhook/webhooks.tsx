import { useLocation } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import type { paths } from '../../api/openapi.d.ts';
import { useResource } from '../../api/resource.ts';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { Page } from '../../parts/page.tsx';
import { Pages } from '../../parts/pages.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Time } from '../../parts/time.tsx';
import { WebhookState } from './webhook-state.tsx';

type ListedAccount = paths['/accounts']['get']['responses'][200]['content']['application/json']['items'][number];

/** Each account comes with its health: fewer of them are on the screen sooner. */
const top = 50;

/** The webhook of each account. */
export function Webhooks() {
  const { query } = useLocation();
  const list = useResource(`webhooks ${query.continue ?? ''}`, (signal) =>
    outcome(
      api.GET('/accounts', {
        params: { query: { health: 'true', top, ...(query.continue ? { continue: query.continue } : {}) } },
        signal,
      }),
    ),
  );
  const items = list.data?.items;
  return (
    <Page
      title="Webhooks"
      actions={
        <Button busy={list.loading && items !== undefined} onClick={list.reload}>
          Refresh
        </Button>
      }
    >
      <p class="quiet">A webhook is told what happens to the mail of its account, as it happens.</p>
      <ProblemBox problem={list.problem} retry={list.reload} />
      {items === undefined && list.loading && <p role="status">Loading the webhooks …</p>}
      {items?.length === 0 && <p>There is no account yet.</p>}
      {items && items.length > 0 && (
        <Table caption="Webhooks by account" columns={columns} rows={items} keyOf={({ name }) => name} />
      )}
      <Pages next={list.data?.continue} label="Pages of accounts" />
    </Page>
  );
}

const columns: readonly Column<ListedAccount>[] = [
  {
    name: 'Account',
    cell: ({ name, webhook }) => (
      <>
        <a href={`${base}/webhook/${name}`}>{name}</a>
        <div class="quiet">{webhook?.url}</div>
      </>
    ),
  },
  { name: 'State', cell: ({ health }) => health && <WebhookState state={health.webhook.state} /> },
  { name: 'Waiting', number: true, cell: ({ health }) => health?.webhook.waiting },
  { name: 'Given up', number: true, cell: ({ health }) => health?.webhook.givenUp },
  {
    name: 'Last success',
    cell: ({ health }) => (health?.webhook.lastSuccess ? <Time at={health.webhook.lastSuccess} distance /> : '–'),
  },
];
