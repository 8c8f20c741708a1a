/** The protocols whose `mail.<protocol>.*` are read, each beside the one that begins with TLS. */
export const protocolPairs = [
  ['smtp', 'smtps'],
  ['imap', 'imaps'],
  ['pop3', 'pop3s'],
] as const;

/** A protocol with a host and a port. */
export type ServerProtocol = (typeof protocolPairs)[number][number];

const smtp: readonly ServerProtocol[] = ['smtp', 'smtps'];
const every: readonly ServerProtocol[] = ['smtp', 'smtps', 'imap', 'imaps', 'pop3', 'pop3s'];

/** A property that Mailroom knows. */
export interface KnownProperty {
  /** `<protocol>` stands for each of `protocols`. */
  readonly name: string;
  /** Empty where the name has no protocol. */
  readonly protocols: readonly ServerProtocol[];
  /** The field of the account, or what else it is. */
  readonly becomes: string;
  /** Defaults, and what differs from Jakarta Mail. docs/properties.md shows this table as it stands. */
  readonly notes: string;
}

const property = (name: string, becomes: string, notes: string): KnownProperty => ({
  name,
  protocols: [],
  becomes,
  notes,
});

const perProtocol = (suffix: string, protocols: readonly ServerProtocol[], becomes: string, notes: string) => ({
  name: `mail.<protocol>.${suffix}`,
  protocols,
  becomes,
  notes,
});

/**
 * Every property that means something here. Sources: package documentation and sources of Eclipse Angus Mail
 * (org.eclipse.angus.mail.smtp, .imap, .pop3, util.SocketFetcher), Jakarta Mail 2.1 appendix A; the rest are the old
 * platform's own.
 */
export const knownProperties: readonly KnownProperty[] = [
  property(
    'mail.transport.protocol',
    'transport.protocol',
    'smtp, smtps, imap, imaps or graph. Absent: smtp as in Jakarta Mail where there is a host for it; smtps where only mail.smtps.* is given',
  ),
  property(
    'mail.store.protocol',
    'store.protocol',
    'pop3, pop3s, imap, imaps or graph. Absent: the one protocol of these that has a host; otherwise there is no store',
  ),
  property('mail.from', 'from', 'absent: the address of mail.smtp.from, of user.id or of the user, if that is one'),
  property(
    'mail.host',
    'host of a server that has no mail.<protocol>.host',
    'Jakarta Mail falls back to localhost; here a host is required',
  ),
  property(
    'mail.user',
    'auth.user of a server that has no mail.<protocol>.user',
    'Jakarta Mail falls back to the user of the operating system',
  ),
  property('mail.debug', 'debug', 'the protocol dialogue in the log, redacted, for one hour'),
  perProtocol('host', every, 'host', 'the server; required unless mail.host is given'),
  perProtocol('port', every, 'port', 'smtp 25, smtps 465, imap 143, imaps 993, pop3 110, pop3s 995'),
  perProtocol('user', every, 'auth.user', 'a store needs one; smtp where it signs in'),
  perProtocol(
    'password',
    every,
    'a secret in Key Vault that auth.secret names',
    'kept as {account}-{protocol}-password; absent: the secret of that name',
  ),
  perProtocol(
    'auth',
    every,
    'auth.type',
    'smtp: false → none; absent → a user with a password signs in, as in Jakarta Mail, a user without one does not. Stores always sign in',
  ),
  perProtocol(
    'auth.mechanisms',
    every,
    'auth.mechanisms',
    'PLAIN, LOGIN, CRAM-MD5; XOAUTH2 with client.id → auth.type oauth2. DIGEST-MD5 and NTLM are left out',
  ),
  perProtocol(
    'ssl.enable',
    every,
    'protocol smtps, imaps or pop3s',
    'true: TLS from the start, with the default port of that protocol',
  ),
  perProtocol(
    'starttls.enable',
    every,
    'tls.starttls',
    'true → preferred; false → never, insecure; absent → preferred, where Jakarta Mail would not encrypt. A password is not sent where preferred finds no STARTTLS',
  ),
  perProtocol('starttls.required', every, 'tls.starttls', 'true → required, whatever starttls.enable says'),
  perProtocol(
    'ssl.trust',
    every,
    'tls.trust',
    '* → neither chain nor name is checked, insecure; hosts separated by white space: the same for them, and any other is refused',
  ),
  perProtocol(
    'ssl.checkserveridentity',
    every,
    'nothing of its own',
    'the name is always checked, unless ssl.trust switches off the check of chain and name',
  ),
  perProtocol(
    'ssl.protocols',
    every,
    'tls.minVersion',
    'the lowest version named; later ones are taken too. TLSv1 and TLSv1.1 are insecure; absent: TLSv1.2',
  ),
  perProtocol(
    'connectiontimeout',
    every,
    'connectionTimeout',
    'ms; absent: 30000, where Jakarta Mail waits for ever; 0 and less → 0, no limit of its own',
  ),
  perProtocol(
    'timeout',
    every,
    'timeout',
    'ms; absent: 60000, where Jakarta Mail waits for ever; 0 and less → 0, no limit of its own',
  ),
  perProtocol('writetimeout', every, 'timeout', 'one limit for reading and writing: the longer of the two'),
  perProtocol(
    'localhost',
    smtp,
    'transport.heloName',
    'absent: the address of the socket, where Jakarta Mail takes the name of the machine',
  ),
  perProtocol('from', smtp, 'sender', 'the envelope sender; and from, where mail.from is absent'),
  perProtocol('dsn.notify', smtp, 'transport.dsn.notify', 'NEVER, or some of SUCCESS,FAILURE,DELAY'),
  perProtocol('dsn.ret', smtp, 'transport.dsn.ret', 'FULL or HDRS'),
  property(
    'client.id',
    'credential.clientId',
    'the app that signs in to Microsoft Graph, and by XOAUTH2 to other servers',
  ),
  property(
    'client.secret',
    'a secret in Key Vault that credential.secret names',
    'kept as {account}-client-secret; absent: the secret of that name',
  ),
  property('tenant.id', 'credential.tenantId', 'an id or a domain of the tenant'),
  property('user.id', 'userId; auth.user with OAuth 2', 'the mailbox: a user principal name or an object id'),
  property(
    'mail.import.deletedelta_day',
    'import.delete',
    'days after the import: N → { "afterDays": N }; 0 → "immediately"; less → "never". import.delete and import.moveTo of the body go before',
  ),
  property('deletedelta_day', 'import.delete', 'the same; mail.import.deletedelta_day goes before'),
  property('mail.server', 'nothing', 'the host name of the old platform itself, which nothing here needs'),
];

const prefix = 'mail.<protocol>.';

/** What `mail.<protocol>.{suffix}` is; undefined where Mailroom knows no such property. */
export function knownSuffix(suffix: string): KnownProperty | undefined {
  return knownProperties.find(({ name }) => name === `${prefix}${suffix}`);
}

/** The parts of `mail.<protocol>.…`; undefined for other names. */
export function splitName(
  name: string,
): { readonly protocol: ServerProtocol | 'graph'; readonly suffix: string } | undefined {
  const found = /^mail\.(smtps?|imaps?|pop3s?|graph)\.(.+)$/s.exec(name);
  const protocol = [...every, 'graph' as const].find((each) => each === found?.[1]);
  return protocol && found?.[2] !== undefined ? { protocol, suffix: found[2] } : undefined;
}

/** Every name there is, written out. */
export const knownNames: readonly string[] = knownProperties.flatMap(({ name, protocols }) =>
  protocols.length === 0 ? [name] : protocols.map((protocol) => name.replace('<protocol>', protocol)),
);

const classes = 'Java classes are not loaded here';
const proxies = 'connections go to the server itself, not through a proxy';
const outcomes = 'every recipient has an outcome of its own in the record of the mail';
const mechanisms = 'which mechanisms are used is auth.mechanisms';

/** What Jakarta Mail has after `mail.<protocol>.` and Mailroom has not, and why. */
const javaOnly: readonly (readonly [RegExp, string])[] = [
  [/^socketFactory(\.|$)/, `${classes}; TLS from the start is ssl.enable=true`],
  [/^ssl\.socketFactory(\.|$)/, `${classes}; whom to trust is ssl.trust`],
  [/^ssl\.hostnameverifier(\.|$)/, `${classes}; the name is always checked, unless ssl.trust says otherwise`],
  [/^ssl\.ciphersuites$/, 'the cipher suites are those of Node.js; the lowest version is ssl.protocols'],
  [/^(proxy|socks)\./, proxies],
  [/^localaddress$/, 'the platform picks the local address; the name given with EHLO is localhost'],
  [/^localport$/, 'the platform picks the local port'],
  [/^sasl\./, mechanisms],
  [/^auth\.(login|plain|digest-md5|ntlm|xoauth2)\./, mechanisms],
  [/^(sendpartial|reportsuccess)$/, outcomes],
];

/** Why a property of Jakarta Mail is not used; undefined for a suffix that Jakarta Mail does not have either. */
export function javaOnlyReason(suffix: string): string | undefined {
  return javaOnly.find(([pattern]) => pattern.test(suffix))?.[1];
}
