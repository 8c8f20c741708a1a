import { useLocation } from 'preact-iso';
import { base } from '../../parts/address.ts';
import { Page } from '../../parts/page.tsx';
import { type Kind, kinds } from './kinds.ts';
import { MailboxForm } from './mailbox-form.tsx';
import { PropertiesForm } from './properties-form.tsx';
import { ReadyMailboxes } from './ready-mailboxes.tsx';

/** Connects a mailbox: which kind it is, then its form. The kind is in the address. */
export function Connect() {
  return (
    <Page title="Connect a mailbox" above={[{ name: 'Accounts', href: `${base}/accounts` }]}>
      <ConnectParts />
    </Page>
  );
}

/** The same without a heading of its own: an empty service begins with it. */
export function ConnectParts() {
  const { query } = useLocation();
  const kind = kinds.find(({ id }) => id === query.kind);
  return (
    <>
      <ReadyMailboxes />
      <nav aria-label="Kinds of mailboxes">
        <ul class="choices">
          {kinds.map(({ id, name, detail }) => (
            <li key={id}>
              <a class="choice" href={`${base}/connect?kind=${id}`} aria-current={kind?.id === id ? 'true' : undefined}>
                <strong>{name}</strong>
                <span class="quiet">{detail}</span>
              </a>
            </li>
          ))}
        </ul>
      </nav>
      {kind && <KindForm key={kind.id} kind={kind} />}
    </>
  );
}

function KindForm({ kind }: { readonly kind: Kind }) {
  return kind.id === 'properties' ? <PropertiesForm /> : <MailboxForm kind={kind} />;
}
