import type { Json } from '../../parts/draft.ts';

/** What is known of a provider: where it sends and fetches. */
export interface Provider {
  readonly name: string;
  /** Domains of its addresses. */
  readonly domains: readonly string[];
  readonly transport: Json;
  readonly store: Json;
  /** What a person has to know before it works. */
  readonly note?: string;
}

const smtps = (host: string): Json => ({ protocol: 'smtps', host, port: 465 });
const submission = (host: string): Json => ({ protocol: 'smtp', host, port: 587, tls: { starttls: 'required' } });
const imaps = (host: string): Json => ({ protocol: 'imaps', host, port: 993 });

/** Providers whose hosts and ports are filled in, as their own help pages have them. */
export const providers: readonly Provider[] = [
  {
    name: 'Gmail',
    domains: ['gmail.com', 'googlemail.com'],
    transport: smtps('smtp.gmail.com'),
    store: imaps('imap.gmail.com'),
    note: 'Gmail wants an app password: Google Account, Security, 2-Step Verification, App passwords.',
  },
  {
    name: 'Yahoo',
    domains: ['yahoo.com', 'ymail.com'],
    transport: smtps('smtp.mail.yahoo.com'),
    store: imaps('imap.mail.yahoo.com'),
    note: 'Yahoo wants an app password: Account security, App passwords.',
  },
  {
    name: 'iCloud',
    domains: ['icloud.com', 'me.com', 'mac.com'],
    transport: submission('smtp.mail.me.com'),
    store: imaps('imap.mail.me.com'),
    note: 'Apple wants an app-specific password: account.apple.com, Sign-In and Security.',
  },
  {
    name: 'GMX',
    domains: ['gmx.net', 'gmx.de', 'gmx.at', 'gmx.ch'],
    transport: submission('mail.gmx.net'),
    store: imaps('imap.gmx.net'),
    note: 'GMX opens IMAP only where it is switched on in its settings, under POP3/IMAP.',
  },
  {
    name: 'WEB.DE',
    domains: ['web.de'],
    transport: submission('smtp.web.de'),
    store: imaps('imap.web.de'),
    note: 'WEB.DE opens IMAP only where it is switched on in its settings, under POP3/IMAP.',
  },
  {
    name: 'Fastmail',
    domains: ['fastmail.com', 'fastmail.fm'],
    transport: smtps('smtp.fastmail.com'),
    store: imaps('imap.fastmail.com'),
    note: 'Fastmail wants an app password: Settings, Privacy & Security.',
  },
  { name: 'IONOS', domains: [], transport: smtps('smtp.ionos.de'), store: imaps('imap.ionos.de') },
];

/** The address in `Name <address>`, or the text itself. */
export function addressOf(text: string): string {
  const start = text.lastIndexOf('<');
  return text
    .slice(start + 1)
    .replace('>', '')
    .trim();
}

/** The provider that an address belongs to, as far as its domain says. */
export function providerOf(address: string): Provider | undefined {
  const domain = addressOf(address).split('@').at(-1)?.toLowerCase() ?? '';
  return providers.find(({ domains }) => domains.includes(domain));
}

/** Ports that the protocols have unless one says otherwise (IANA). */
export const defaultPorts: Readonly<Record<string, number>> = {
  smtp: 25,
  smtps: 465,
  imap: 143,
  imaps: 993,
  pop3: 110,
  pop3s: 995,
};
