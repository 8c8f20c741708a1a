import type { GraphStoreConfig } from '../../../accounts/model.ts';

/** Settings that replace the clouds' own hosts (design section 7): private clouds and tests. */
export interface CloudOverrides {
  /** `GRAPH_ENDPOINT`. */
  readonly graphEndpoint?: string | undefined;
  /** `AZURE_AUTHORITY_HOST`. */
  readonly authorityHost?: string | undefined;
}

/** Where tokens come from. */
export interface Authority {
  readonly authorityHost: string;
  /** The authority is not one of Microsoft's: instance discovery cannot know it. */
  readonly privateAuthority: boolean;
}

/** Where an account's tokens come from, and what they are for. */
export interface TokenPlace extends Authority {
  readonly scope: string;
  readonly resource: 'Microsoft Graph' | 'Exchange Online';
}

type Cloud = GraphStoreConfig['cloud'];

/** Microsoft Learn, "National cloud deployments". */
const logins: Readonly<Record<Cloud, string>> = {
  global: 'https://login.microsoftonline.com',
  usgov: 'https://login.microsoftonline.us',
  dod: 'https://login.microsoftonline.us',
  china: 'https://login.chinacloudapi.cn',
};

/** The authority of a cloud (Microsoft Learn, "National clouds"), or the one that the operator sets. */
export function authorityOf(cloud: Cloud, overrides: CloudOverrides = {}): Authority {
  const { authorityHost } = overrides;
  return { authorityHost: authorityHost ?? logins[cloud], privateAuthority: authorityHost !== undefined };
}

/** Hosts of Exchange Online outside the global cloud, and the resource that their tokens are for. */
const nationalHosts: readonly (readonly [domain: string, cloud: Cloud, resource: string])[] = [
  // GCC High and DoD: outlook.office365.us, outlook-dod.office365.us, smtp.office365.us.
  ['office365.us', 'usgov', 'https://outlook.office365.us'],
  // 21Vianet. Microsoft names no scope for it; tokens are for the host that serves the mailboxes.
  ['partner.outlook.cn', 'china', 'https://partner.outlook.cn'],
];

/**
 * Servers of Exchange Online by IMAP, POP and SMTP (Microsoft Learn, "POP, IMAP, and SMTP settings"; for the national
 * clouds "Microsoft 365 U.S. Government endpoints" and 21Vianet's settings).
 */
const exchangeHosts: ReadonlySet<string> = new Set([
  'outlook.office365.com',
  'smtp.office365.com',
  'smtp-legacy.office365.com',
  'pop-legacy.office365.com',
  'imap-legacy.office365.com',
  'outlook.office365.us',
  'smtp.office365.us',
  'outlook-dod.office365.us',
  'smtp-dod.office365.us',
  'partner.outlook.cn',
  'smtp.partner.outlook.cn',
]);

/** Whether a host is a server of Exchange Online, of whichever cloud. */
export function isExchangeHost(host: string): boolean {
  return exchangeHosts.has(host.toLowerCase().replace(/\.$/, ''));
}

/**
 * Where the tokens for a mail server come from: its host says in which cloud it is. Any host that is of no national
 * cloud counts as global, also a relay or a proxy in front of Exchange Online.
 */
export function exchangePlace(host: string, overrides: CloudOverrides = {}): TokenPlace {
  const name = host.toLowerCase().replace(/\.$/, '');
  const national = nationalHosts.find(([domain]) => name === domain || name.endsWith(`.${domain}`));
  const [, cloud, resource] = national ?? ['', 'global' as const, 'https://outlook.office365.com'];
  return { ...authorityOf(cloud, overrides), scope: `${resource}/.default`, resource: 'Exchange Online' };
}
