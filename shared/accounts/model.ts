import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { webhookFields } from '../events/webhooks/webhook.ts';
import { AddressError, parseMailbox } from './address.ts';
import { notifySchema, retSchema } from './dsn.ts';
import { scheduleSchema } from './import-schedule.ts';
import { unionError } from './union-error.ts';

/** RFC 1123-like, and safe in queue messages, table keys, blob paths and Key Vault names. */
export const accountNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must match ^[a-z0-9][a-z0-9-]{0,31}$')
  .meta({ description: 'Name of an account.' });

/** Key Vault: 1 to 127 letters, digits and dashes. */
export const secretNameSchema = z.string().regex(/^[0-9a-zA-Z-]{1,127}$/, 'must be letters, digits and dashes');

/** No line breaks or NUL anywhere that could reach a protocol or a header (CVE-2025-7962). */
const singleLine = (max: number) =>
  z
    .string()
    .min(1, 'must not be empty')
    .max(max, `must be at most ${max} characters`)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not contain line breaks or control characters');

const hostDetail = 'must be a host name or an IP address, without scheme or port';

const hostSchema = z
  .string()
  .max(253, 'must be at most 253 characters')
  .regex(/^[A-Za-z0-9.:_-]+$/, { error: hostDetail, abort: true })
  // Colons are those of IPv6.
  .refine((host) => !host.includes(':') || isIPv6(host), hostDetail);

const tenantIdSchema = z
  .string()
  .max(253, 'must be at most 253 characters')
  .regex(/^[A-Za-z0-9][A-Za-z0-9.-]*$/, "must be the tenant's id or one of its domains");

const clientIdSchema = z
  .string()
  .regex(/^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/, "must be the app's client id, a GUID");

const appFields = { tenantId: tenantIdSchema, clientId: clientIdSchema, secret: secretNameSchema };

/** How an account signs in to Entra ID, as an app and never as a person. */
const credentialSchema = z
  .discriminatedUnion(
    'type',
    [
      z.strictObject({ type: z.literal('clientSecret'), ...appFields }),
      /** The secret holds certificate and key: PEM, or PFX in base64. */
      z.strictObject({ type: z.literal('certificate'), ...appFields }),
      z.strictObject({ type: z.literal('managedIdentity'), clientId: clientIdSchema.optional() }),
    ],
    { error: unionError('type') },
  )
  .meta({ id: 'EntraCredential' });

const authSchema = z
  .discriminatedUnion(
    'type',
    [
      z.strictObject({ type: z.literal('none') }),
      z.strictObject({
        type: z.literal('password'),
        user: singleLine(320),
        secret: secretNameSchema,
        /** Only these SASL mechanisms, in the order in which they are tried; absent: what the server offers. */
        mechanisms: z
          .array(z.enum(['PLAIN', 'LOGIN', 'CRAM-MD5']))
          .min(1, 'must name a mechanism')
          .max(3)
          .optional(),
      }),
      /** XOAUTH2 with a token of Entra ID for Exchange Online. */
      z.strictObject({ type: z.literal('oauth2'), user: singleLine(320), credential: credentialSchema }),
    ],
    { error: unionError('type') },
  )
  .meta({ id: 'MailServerSignIn' });

const tlsSchema = z
  .strictObject({
    starttls: z.enum(['required', 'preferred', 'never']).default('preferred'),
    /** `"*"` or hosts whose chain and name are not checked; a host missing from a given list is refused. */
    trust: z.union([z.literal('*'), z.array(hostSchema).min(1, 'must name a host').max(50)]).optional(),
    ca: z
      .string()
      .max(65_536, 'must be at most 65536 characters')
      .includes('-----BEGIN CERTIFICATE-----', { error: 'must be a bundle of certificates in PEM' })
      .nullable()
      .default(null),
    minVersion: z.enum(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']).default('TLSv1.2'),
  })
  .meta({ id: 'Tls' });

/** Longest limit an account may set, in ms: a day. */
const limitSchema = z.int().min(0).max(86_400_000);

/** What every protocol with a host, a port and sockets shares. */
const serverFields = {
  host: hostSchema,
  port: z.int().min(1).max(65_535).optional(),
  auth: authSchema.default({ type: 'none' }),
  tls: tlsSchema.prefault({}),
  connectionTimeout: limitSchema.default(30_000),
  timeout: limitSchema.default(60_000),
};

/** A user's name, object id or address in a path of Microsoft Graph: one segment, which cannot leave the mailbox. */
const userIdSchema = singleLine(320).regex(
  /^(?!\.{1,2}$)[^\s/\\?#]+$/,
  'must be a user principal name or an object id',
);

/** What transport and store share on Microsoft Graph. */
const graphFields = {
  protocol: z.literal('graph'),
  userId: userIdSchema,
  credential: credentialSchema,
  cloud: z.enum(['global', 'usgov', 'dod', 'china']).default('global'),
};

/** The notifications that the account's mail asks for, unless the mail itself says. */
const dsnSchema = z.strictObject({ notify: notifySchema.optional(), ret: retSchema.optional() });

const smtpFields = {
  ...serverFields,
  /** The name given with EHLO; absent: the socket's own address as a literal (RFC 5321 section 4.1.3). */
  heloName: hostSchema.optional(),
  dsn: dsnSchema.optional(),
  /** Append a copy to the store's `\Sent` folder (RFC 6154). */
  saveToSent: z.boolean().default(false),
};

/** IMAP as a transport: the mail is appended to a folder. */
const appendFields = { ...serverFields, folder: singleLine(255).default('INBOX') };

const transportSchema = z
  .discriminatedUnion(
    'protocol',
    [
      z.strictObject({ protocol: z.literal('smtp'), ...smtpFields }),
      z.strictObject({ protocol: z.literal('smtps'), ...smtpFields }),
      z.strictObject({ protocol: z.literal('imap'), ...appendFields }),
      z.strictObject({ protocol: z.literal('imaps'), ...appendFields }),
      z.strictObject({
        ...graphFields,
        /** `draft` needs Mail.ReadWrite and Mail.Send and settles lost answers; `direct` needs Mail.Send alone. */
        sendMode: z.enum(['draft', 'direct']).default('draft'),
      }),
      /** Sends nothing: for the tests of integrators. */
      z.strictObject({ protocol: z.literal('sink') }),
    ],
    { error: unionError('protocol') },
  )
  .meta({ id: 'Transport' });

/** Graph names a folder by an id of some 120 characters, or by a path. */
const foldersSchema = (longest: number) =>
  z.array(singleLine(longest)).min(1, 'must name a folder').max(50, 'must be at most 50 folders');

const imapFolders = foldersSchema(255).default(['INBOX']);

/** POP3 has one maildrop and no folders (RFC 1939); it goes by the name INBOX. */
const popFolders = z
  .array(z.string())
  .refine(
    (folders) => folders.length === 1 && folders[0]?.toUpperCase() === 'INBOX',
    'POP3 has no folders; leave it out or ["INBOX"]',
  )
  .transform(() => ['INBOX'])
  .pipe(z.array(z.string()))
  .default(['INBOX']);

const storeSchema = z
  .discriminatedUnion(
    'protocol',
    [
      z.strictObject({ protocol: z.literal('imap'), ...serverFields, folders: imapFolders }),
      z.strictObject({ protocol: z.literal('imaps'), ...serverFields, folders: imapFolders }),
      z.strictObject({ protocol: z.literal('pop3'), ...serverFields, folders: popFolders }),
      z.strictObject({ protocol: z.literal('pop3s'), ...serverFields, folders: popFolders }),
      z.strictObject({
        ...graphFields,
        folders: foldersSchema(1_000).default(['inbox']),
        push: z.boolean().default(false).meta({ description: 'Graph tells of new mail, which is imported at once.' }),
      }),
    ],
    { error: unionError('protocol') },
  )
  .meta({ id: 'Store' });

/** Longest time until a deletion, in days: ten years. */
export const maxAfterDays = 3660;

const mebibyte = 1024 * 1024;

const importSchema = z.strictObject({
  /** Default: see `defaultSchedules`. */
  schedule: scheduleSchema.optional(),
  /** Default: true where the protocol has a read state. */
  markRead: z.boolean().optional(),
  delete: z
    .union([
      z.enum(['never', 'immediately']),
      z.strictObject({ afterDays: z.int().min(1, 'must be at least 1; "immediately" is 0').max(maxAfterDays) }),
    ])
    .default('never'),
  deleteMode: z.enum(['trash', 'permanent']).optional(),
  moveTo: singleLine(1_000).nullable().default(null),
  since: z
    .union([z.enum(['all', 'now']), z.iso.datetime({ offset: true, error: 'must be "all", "now" or an ISO instant' })])
    .default('all'),
  maxMessageSize: z
    .int()
    .min(1)
    .max(1024 * mebibyte)
    .default(150 * mebibyte),
});

const limitsSchema = z.strictObject({
  /** Mails sent in a minute, over all processes; null: no limit. Default: 30 on graph, else null. */
  perMinute: z.int().min(1).max(10_000).nullable().optional(),
  /** Connections to the server at a time, over all processes. Servers refuse more than some tens (Dovecot: 10). */
  connections: z.int().min(1).max(50).default(5),
});

/** Where the account's events are posted, signed with the secret. */
const webhookSchema = z.strictObject({ ...webhookFields, secret: secretNameSchema });

/** A mailbox in the form of a mail header. */
const mailboxTextSchema = singleLine(600).superRefine((text, context) => {
  try {
    parseMailbox(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof AddressError ? error.message : 'is not an address' });
  }
});

/** An address in which `*` stands for any characters but `@`. */
const senderPatternSchema = z
  .string()
  .max(254, 'must be at most 254 characters')
  .regex(/^[^\s@<>()",;:[\]\\]+@[^\s@<>()",;:[\]\\]+$/, 'must be an address, in which * stands for any characters');

/** What `PUT /accounts/{account}` takes. Rules across fields, and the defaults that depend on others, are in `rules.ts`. */
export const accountInputSchema = z.strictObject({
  name: accountNameSchema.optional(),
  from: mailboxTextSchema.meta({
    description: 'Default From, "Name <a@b>"; its address is the envelope sender unless `sender` is given.',
  }),
  sender: mailboxTextSchema
    .optional()
    .meta({ description: "Envelope sender of the account's mail; default: the address of `from`." }),
  allowedFrom: z.array(senderPatternSchema).max(100, 'must be at most 100 patterns').default([]),
  transport: transportSchema.nullish(),
  store: storeSchema.nullish(),
  import: importSchema.prefault({}),
  limits: limitsSchema.prefault({}),
  webhook: webhookSchema.nullable().default(null),
  enabled: z.boolean().default(true),
  /** The protocol dialogue in the log, redacted, for one hour. */
  debug: z.boolean().default(false),
});

/** Parts of an account, with the defaults filled in that depend on no other field. */
export type AccountInput = z.output<typeof accountInputSchema>;
export type TransportConfig = z.output<typeof transportSchema>;
export type StoreConfig = z.output<typeof storeSchema>;
export type ImportRule = z.output<typeof importSchema>;
export type AccountLimits = z.output<typeof limitsSchema>;
export type ServerAuth = z.output<typeof authSchema>;
export type TlsConfig = z.output<typeof tlsSchema>;
export type GraphCredential = z.output<typeof credentialSchema>;
export type GraphTransportConfig = Extract<TransportConfig, { protocol: 'graph' }>;
export type SinkTransportConfig = Extract<TransportConfig, { protocol: 'sink' }>;
export type GraphStoreConfig = Extract<StoreConfig, { protocol: 'graph' }>;
/** Endpoints with a host and a port. */
export type ServerTransportConfig = Exclude<TransportConfig, { protocol: 'graph' | 'sink' }>;
export type ServerStoreConfig = Exclude<StoreConfig, { protocol: 'graph' }>;
/** Fields every host-and-port endpoint has, whatever its protocol. */
export type ServerConfig = Pick<ServerStoreConfig, 'host' | 'port' | 'auth' | 'tls' | 'connectionTimeout' | 'timeout'>;
/** An endpoint as it is used: with its port, where it has one. */
export type Located<T> = T extends { readonly protocol: 'graph' | 'sink' } ? T : T & { readonly port: number };

/** Ports that IANA has assigned to the protocols. */
export const defaultPorts = { smtp: 25, smtps: 465, imap: 143, imaps: 993, pop3: 110, pop3s: 995 } as const;

export { authSchema, importSchema, limitsSchema, storeSchema, tlsSchema, transportSchema };
