import type { Json } from '../../parts/draft.ts';
import { secretNameOf } from '../account/verification.ts';

/** What somebody may want to connect. */
export interface Kind {
  readonly id: 'microsoft365' | 'gmail' | 'imap' | 'pop3' | 'properties';
  readonly name: string;
  readonly detail: string;
  /** What an account of this kind begins with. */
  readonly start?: (account: string) => Json;
}

const password = (account: string, protocol: string): Json => ({
  type: 'password',
  user: '',
  secret: secretNameOf(account, protocol),
});

const graphEnd = (account: string): Json => ({
  protocol: 'graph',
  userId: '',
  credential: { type: 'clientSecret', tenantId: '', clientId: '', secret: `${account}-client-secret` },
});

const server = (account: string, protocol: string, host: string, port: number): Json => ({
  protocol,
  host,
  port,
  auth: password(account, protocol),
});

/** In the order in which people look for them. */
export const kinds: readonly Kind[] = [
  {
    id: 'microsoft365',
    name: 'Microsoft 365',
    detail: 'Exchange Online, by Microsoft Graph and an app of Entra ID',
    start: (account) => ({ from: '', store: graphEnd(account), transport: graphEnd(account) }),
  },
  {
    id: 'gmail',
    name: 'Gmail',
    detail: 'With an app password',
    start: (account) => ({
      from: '',
      store: server(account, 'imaps', 'imap.gmail.com', 993),
      transport: server(account, 'smtps', 'smtp.gmail.com', 465),
    }),
  },
  {
    id: 'imap',
    name: 'IMAP and SMTP',
    detail: 'Most providers; hosts and ports are filled in for the well-known ones',
    start: (account) => ({
      from: '',
      store: server(account, 'imaps', '', 993),
      transport: server(account, 'smtps', '', 465),
    }),
  },
  {
    id: 'pop3',
    name: 'POP3 and SMTP',
    detail: 'Where a mailbox has no IMAP',
    start: (account) => ({
      from: '',
      store: server(account, 'pop3s', '', 995),
      transport: server(account, 'smtps', '', 465),
    }),
  },
  { id: 'properties', name: 'Jakarta-Mail properties', detail: 'Paste mail.imaps.host=… as it was' },
];

/** The account that mail is sent by where a caller names none; the first one is best called so. */
export const firstName = 'corpus';
