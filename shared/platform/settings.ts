import { z } from 'zod';
import { environment, ownOrigin, signInSetByHand } from './environment.ts';
import { isNetwork } from './network-policy.ts';
import { scheduleMistake } from './schedule.ts';

const httpsUrl = z.url({ protocol: /^https$/, error: 'must be an https URL' });
const serviceUrl = z.url({ protocol: /^https?$/, error: 'must be a URL of https or http' });
const wholeNumber = (least: number, most: number, unit: string) => {
  const error = `must be a whole number of ${unit} from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\s*\d{1,9}\s*$/, { error })
    .transform(Number)
    .pipe(z.number().min(least, { error }).max(most, { error }));
};
const days = wholeNumber(1, 36_500, 'days');

/** The host reads schedules; with a wrong one it leaves the function out, and says so of the function alone. */
const schedule = z.string().superRefine((text, context) => {
  const mistake = scheduleMistake(text);
  if (mistake !== undefined) context.addIssue({ code: 'custom', message: mistake });
});

/** A list in one setting, separated by commas or white space. */
const listed = (isRight: (each: string) => boolean, what: string) =>
  z
    .string()
    .max(10_000)
    .transform((text) => text.split(/[\s,]+/).filter((each) => each !== ''))
    .refine((all) => all.every(isRight), { error: `must be ${what}, separated by commas` });

/** Waits in minutes, as in `1,5,15,60`. */
const minutes = z
  .string()
  .regex(/^\s*([1-9]\d{0,3})(\s*,\s*[1-9]\d{0,3}){0,19}\s*$/, {
    error: 'must be 1 to 20 whole numbers of minutes, separated by commas',
  })
  .transform((text) => text.split(',').map((each) => Number(each) * 60_000))
  .refine((waits) => waits.every((wait) => wait <= 86_400_000), {
    error: 'must have no wait of more than 1440 minutes',
  })
  .transform(([first = 60_000, ...others]): readonly [number, ...number[]] => [first, ...others]);

const networks = listed(isNetwork, 'networks such as 10.0.0.0/8 or ::1/128');
const hosts = listed((each) => /^[a-z0-9.:_-]{1,253}$/.test(each), 'host names in lower case');

/** Without a slash at its end. On the machine itself, where a stand-in calls, it may be http. */
const publicUrl = z
  .string()
  .refine(isPublicUrl, { error: 'must be an https URL without user, query and fragment' })
  .transform((text) => text.replace(/(?<!\/)\/+$/, ''));

function isPublicUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url?.username !== '' || url.password !== '' || /[?#\s]/.test(text)) return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && /^(localhost|127\.0\.0\.1)$/.test(url.hostname));
}

const schema = z.object({
  MailStorage: z
    .string()
    .regex(/(^|;)\s*(UseDevelopmentStorage=true|(AccountName|BlobEndpoint|SharedAccessSignature)=)/i, {
      error: 'must be a connection string of a storage account',
    })
    .optional(),
  MailStorage__blobServiceUri: serviceUrl.optional(),
  MailStorage__queueServiceUri: serviceUrl.optional(),
  MailStorage__tableServiceUri: serviceUrl.optional(),
  MailStorage__credential: z.literal('managedidentity', { error: 'must be managedidentity' }).optional(),
  MailStorage__clientId: z.string().optional(),
  KEY_VAULT_URI: httpsUrl,
  IMPORT_SCHEDULE: schedule.optional(),
  RETENTION_SCHEDULE: schedule.optional(),
  SWEEP_SCHEDULE: schedule.optional(),
  RETRY_MINUTES: minutes.prefault('1,5,15,60'),
  OUTBOX_MAX_WAITING: wholeNumber(1, 1_000_000, 'mails').optional(),
  IMPORT_BUDGET_SECONDS: wholeNumber(10, 540, 'seconds').default(240),
  OUTBOX_RETENTION_DAYS: days.default(30),
  RECORD_RETENTION_DAYS: days.default(90),
  ASSET_RETENTION_DAYS: days.optional(),
  MAIL_ALLOWED_NETWORKS: networks.default([]),
  MAIL_OAUTH2_HOSTS: hosts.default([]),
  WEBHOOK_ALLOWED_NETWORKS: networks.default([]),
  EVENTS_QUEUE: z.enum(['on', 'off'], { error: 'must be on or off' }).default('on'),
  EVENT_GRID_TOPIC_ENDPOINT: httpsUrl.optional(),
  PUBLIC_URL: publicUrl.optional(),
  AZURE_AUTHORITY_HOST: httpsUrl.optional(),
  GRAPH_ENDPOINT: httpsUrl.optional(),
  IDENTITY_ENDPOINT: z.string().optional(),
  AZURE_TENANT_ID: z.string().optional(),
  AZURE_CLIENT_ID: z.string().optional(),
  AZURE_CLIENT_SECRET: z.string().optional(),
  AZURE_CLIENT_CERTIFICATE_PATH: z.string().optional(),
});

/** Every setting that is parsed here; `infra/` sets them. The platform gives IDENTITY_ENDPOINT itself. */
export const settingNames: readonly string[] = Object.keys(schema.shape);

/** How Mailroom's storage is opened. */
export type StorageSettings =
  | { readonly kind: 'connectionString'; readonly connectionString: string }
  | {
      readonly kind: 'identity';
      readonly blob: string;
      readonly queue: string;
      readonly table: string;
      /** Client id of a user-assigned identity that only the storage uses. */
      readonly clientId: string | undefined;
      /** `managedidentity`: by the platform's identity even where a client secret is set for the rest. */
      readonly managedIdentity: boolean;
    };

/** What the app signs in as. */
export type IdentitySettings =
  | { readonly kind: 'managedIdentity'; readonly clientId: string | undefined }
  | { readonly kind: 'clientSecret'; readonly tenantId: string; readonly clientId: string; readonly secret: string }
  | { readonly kind: 'certificate'; readonly tenantId: string; readonly clientId: string; readonly path: string };

/** The settings of design section 7, parsed. */
export interface Settings {
  readonly storage: StorageSettings;
  readonly identity: IdentitySettings;
  /** Entra's host where it is not the public cloud's. */
  readonly authorityHost: string | undefined;
  /** Microsoft Graph's host where it is not that of an account's cloud. */
  readonly graphEndpoint: string | undefined;
  readonly keyVaultUri: string;
  /** CIDRs of the machine's own networks where mail servers may be all the same. */
  readonly mailNetworks: readonly string[];
  /** Hosts beside those of Exchange Online that get access tokens, in lower case. */
  readonly oauth2Hosts: readonly string[];
  /** CIDRs where webhooks may be although they are not of the internet; there also over http. */
  readonly webhookNetworks: readonly string[];
  /** Events are put on the queue that the customer reads. */
  readonly eventsQueue: boolean;
  /** Of an Event Grid topic that gets every event. */
  readonly eventGridEndpoint: string | undefined;
  /** Where callers outside reach the app, without a slash at its end; undefined: they do not. */
  readonly publicUrl: string | undefined;
  /** Before the second, third, ... attempt of a mail; the last one goes on. */
  readonly retryWaitsMs: readonly [number, ...number[]];
  /** Mails of one account that may wait; undefined: any number. */
  readonly maxWaiting: number | undefined;
  readonly importBudgetMs: number;
  readonly outboxRetentionDays: number;
  readonly recordRetentionDays: number;
  readonly assetRetentionDays: number | undefined;
}

/** A missing or wrong setting; the message is one line, names the settings, and never a value. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

type Given = Readonly<Record<string, string | undefined>>;

function storageSettings(values: Given): StorageSettings | string {
  if (values.MailStorage) {
    return { kind: 'connectionString', connectionString: values.MailStorage };
  }
  const blob = values.MailStorage__blobServiceUri;
  const queue = values.MailStorage__queueServiceUri;
  const table = values.MailStorage__tableServiceUri;
  if (!blob || !queue || !table) {
    return 'MailStorage is missing (a connection string, or MailStorage__blobServiceUri, __queueServiceUri and __tableServiceUri)';
  }
  return {
    kind: 'identity',
    blob,
    queue,
    table,
    clientId: values.MailStorage__clientId,
    managedIdentity: values.MailStorage__credential === 'managedidentity',
  };
}

function identitySettings(values: Given): IdentitySettings | undefined {
  const { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId } = values;
  if (values.IDENTITY_ENDPOINT) {
    return { kind: 'managedIdentity', clientId };
  }
  if (tenantId && clientId && values.AZURE_CLIENT_SECRET) {
    return { kind: 'clientSecret', tenantId, clientId, secret: values.AZURE_CLIENT_SECRET };
  }
  if (tenantId && clientId && values.AZURE_CLIENT_CERTIFICATE_PATH) {
    return { kind: 'certificate', tenantId, clientId, path: values.AZURE_CLIENT_CERTIFICATE_PATH };
  }
  return undefined;
}

/** The platform's name for the app; on a machine of its own nobody outside reaches it. */
function publicOrigin(given: Given): string | undefined {
  const origin = ownOrigin(given);
  return origin?.startsWith('https:') ? origin : undefined;
}

/** Parses the settings of design section 7. Throws SettingsError naming every mistake in one line. */
export function readSettings(from: Readonly<Record<string, string | undefined>> = environment()): Settings {
  // An empty setting is one that was left blank in the portal: the same as none.
  const given = Object.fromEntries(Object.entries(from).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  const mistakes = (parsed.error?.issues ?? []).map((issue) => {
    const name = String(issue.path[0]);
    return given[name] === undefined ? `${name} is missing` : `${name} ${issue.message}`;
  });
  // Checked even if another setting is wrong: every mistake is named at once.
  const storage = storageSettings(given);
  const identity = identitySettings(given);
  if (typeof storage === 'string') {
    mistakes.push(storage);
  }
  if (!identity) {
    mistakes.push(
      'the identity is missing (a managed identity, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH)',
    );
  }
  if (signInSetByHand(given)) {
    mistakes.push(
      'WEBSITE_AUTH_ENABLED is set by the platform alone, when its sign-in is on; it must not be set by hand',
    );
  }
  const values = parsed.data;
  if (mistakes.length > 0 || typeof storage === 'string' || !identity || !values) {
    throw new SettingsError(`Settings: ${mistakes.join('; ')}`);
  }
  return {
    storage,
    identity,
    authorityHost: values.AZURE_AUTHORITY_HOST,
    graphEndpoint: values.GRAPH_ENDPOINT,
    keyVaultUri: values.KEY_VAULT_URI,
    mailNetworks: values.MAIL_ALLOWED_NETWORKS,
    oauth2Hosts: values.MAIL_OAUTH2_HOSTS,
    webhookNetworks: values.WEBHOOK_ALLOWED_NETWORKS,
    eventsQueue: values.EVENTS_QUEUE === 'on',
    eventGridEndpoint: values.EVENT_GRID_TOPIC_ENDPOINT,
    publicUrl: values.PUBLIC_URL ?? publicOrigin(given),
    retryWaitsMs: values.RETRY_MINUTES,
    maxWaiting: values.OUTBOX_MAX_WAITING,
    importBudgetMs: values.IMPORT_BUDGET_SECONDS * 1000,
    outboxRetentionDays: values.OUTBOX_RETENTION_DAYS,
    recordRetentionDays: values.RECORD_RETENTION_DAYS,
    assetRetentionDays: values.ASSET_RETENTION_DAYS,
  };
}
