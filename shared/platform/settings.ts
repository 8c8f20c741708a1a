import { z } from 'zod';
import { environment } from './environment.ts';

const httpsUrl = z.url({ protocol: /^https$/, error: 'must be an https URL' });
const serviceUrl = z.url({ protocol: /^https?$/, error: 'must be a URL' });
const days = z.coerce.number({ error: 'must be a number of days' }).int().min(1).max(36_500);

/** The host reads schedules; with a wrong one it leaves the function out, and says so of the function alone. */
const schedule = z.string().regex(/^\s*(?:[\dA-Za-z*,/-]+\s+){4,5}[\dA-Za-z*,/-]+\s*$/, {
  error: 'must be an NCRONTAB expression of six fields (second first) or five',
});

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
  IMPORT_BUDGET_SECONDS: z.coerce.number({ error: 'must be a number of seconds' }).int().min(10).max(540).default(240),
  OUTBOX_RETENTION_DAYS: days.default(30),
  RECORD_RETENTION_DAYS: days.default(90),
  ASSET_RETENTION_DAYS: days.optional(),
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

export type IdentitySettings =
  | { readonly kind: 'managedIdentity'; readonly clientId: string | undefined }
  | { readonly kind: 'clientSecret'; readonly tenantId: string; readonly clientId: string; readonly secret: string }
  | { readonly kind: 'certificate'; readonly tenantId: string; readonly clientId: string; readonly path: string };

export interface Settings {
  readonly storage: StorageSettings;
  readonly identity: IdentitySettings;
  /** Entra's host where it is not the public cloud's. */
  readonly authorityHost: string | undefined;
  /** Microsoft Graph's host where it is not that of an account's cloud. */
  readonly graphEndpoint: string | undefined;
  readonly keyVaultUri: string;
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

/** Parses the settings of design section 7. Throws SettingsError naming every mistake in one line. */
export function readSettings(from: Readonly<Record<string, string | undefined>> = environment()): Settings {
  // An empty setting is one that was left blank in the portal: the same as none.
  const given = Object.fromEntries(Object.entries(from).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  const mistakes = (parsed.error?.issues ?? []).map((issue) => {
    const name = String(issue.path[0]);
    return given[name] === undefined ? `${name} is missing` : `${name} ${issue.message}`;
  });
  // Whether they are there can be told although another setting is wrong.
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
    importBudgetMs: values.IMPORT_BUDGET_SECONDS * 1000,
    outboxRetentionDays: values.OUTBOX_RETENTION_DAYS,
    recordRetentionDays: values.RECORD_RETENTION_DAYS,
    assetRetentionDays: values.ASSET_RETENTION_DAYS,
  };
}
