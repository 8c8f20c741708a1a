import { useLocation } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import type { components, paths } from '../../api/openapi.d.ts';
import { useResource } from '../../api/resource.ts';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { Page, Section } from '../../parts/page.tsx';
import { Pages } from '../../parts/pages.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Time } from '../../parts/time.tsx';
import { ConnectParts } from '../connect/connect.tsx';
import { AccountState } from './account-state.tsx';
import { OpenAccount } from './open-account.tsx';

type AccountList = paths['/accounts']['get']['responses'][200]['content']['application/json'];
type ListedAccount = AccountList['items'][number];
type Status = components['schemas']['AccountStatus'];

/** Each account comes with its health: fewer of them are on the screen sooner. */
const top = 50;

/** How often the list is loaded anew, in ms. */
const everyMs = 30_000;

/** Accounts, each with how it is doing. */
export function Accounts() {
  const { query } = useLocation();
  const list = useResource(
    `accounts ${query.continue ?? ''}`,
    (signal) =>
      outcome(
        api.GET('/accounts', {
          params: { query: { health: 'true', top, ...(query.continue ? { continue: query.continue } : {}) } },
          signal,
        }),
      ),
    { everyMs },
  );
  const items = list.data?.items;
  return (
    <Page
      title="Accounts"
      actions={
        <>
          <a class="button main" href={`${base}/connect`}>
            Connect a mailbox
          </a>
          <Button busy={list.loading && items !== undefined} onClick={list.reload}>
            Refresh
          </Button>
        </>
      }
    >
      <ProblemBox problem={list.problem} retry={list.reload} />
      {items === undefined && !list.problem && <p role="status">Loading the accounts …</p>}
      {items?.length === 0 && !query.continue && (
        <Section title="Connect your first mailbox">
          <p>
            Mail of its folders is imported, and callers send mail by it. Nothing happens before you have seen what
            would.
          </p>
          <ConnectParts />
        </Section>
      )}
      {items && items.length > 0 && <OpenAccount />}
      {items && items.length > 0 && (
        <Table caption="Accounts, newest first" columns={columns} rows={items} keyOf={({ name }) => name} />
      )}
      <Pages next={list.data?.continue} label="Pages of accounts" />
    </Page>
  );
}

const columns: readonly Column<ListedAccount>[] = [
  {
    name: 'Account',
    cell: ({ name, from }) => (
      <>
        <a href={`${base}/accounts/${name}`}>{name}</a>
        <div class="quiet">{from}</div>
      </>
    ),
  },
  { name: 'State', cell: ({ health }) => health && <AccountState status={health} /> },
  { name: 'Waiting', number: true, cell: ({ transport, health }) => (transport ? health?.transport?.waiting : '–') },
  { name: 'Backlog', number: true, cell: ({ store, health }) => (store ? health?.backlog : '–') },
  {
    name: 'Last run',
    cell: ({ health }) => (health?.lastRun ? <Time at={health.lastRun.startedAt} distance /> : 'never'),
  },
  { name: 'Secret ends', cell: ({ health }) => health && <SecretEnd status={health} /> },
];

function SecretEnd({ status }: { readonly status: Status }) {
  const ends = status.secrets.flatMap(({ expiresAt }) => expiresAt ?? []).sort();
  const [first] = ends;
  return first === undefined ? <>–</> : <Time at={first} />;
}
