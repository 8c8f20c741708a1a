/** The environment that somebody starts the laptop with. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Which of the embedded parts are needed: those whose settings nobody gave (design section 8). */
export interface NeededParts {
  readonly azurite: boolean;
  readonly entra: boolean;
  readonly keyVault: boolean;
  /** Takes only tokens of the stand-in for Entra ID, so it is needed only beside that. */
  readonly graph: boolean;
}

/** An identity in the stand-in for Entra ID, where none is given. Any GUIDs would do. */
export const localIdentity = {
  tenantId: '7b0d1b5c-6f0e-4f7a-9a51-3c8f1d2e4a60',
  clientId: '2f9c7a14-0d3b-4c62-8e1f-5a6b7c8d9e0f',
} as const;

const defaultSchedules = {
  IMPORT_SCHEDULE: '0 * * * * *',
  RETENTION_SCHEDULE: '0 0 * * * *',
  SWEEP_SCHEDULE: '0 0 3 * * *',
} as const;

/** Which parts are started: those in whose place no setting was given. */
export function neededParts(env: Environment): NeededParts {
  const keyVault = !isGiven(env, 'KEY_VAULT_URI');
  // A real vault with an identity of its own belongs to the real Entra ID.
  const cloudIdentity = !keyVault && hasIdentity(env);
  const entra = !isGiven(env, 'AZURE_AUTHORITY_HOST') && !cloudIdentity;
  return {
    azurite: !(isStorageGiven(env, 'MailStorage') && isStorageGiven(env, 'AzureWebJobsStorage')),
    entra,
    keyVault,
    graph: entra && !isGiven(env, 'GRAPH_ENDPOINT'),
  };
}

/** Why there is no stand-in for Graph, as a sentence; undefined where there is one. */
export function whyNoGraph(env: Environment): string | undefined {
  if (neededParts(env).graph) return undefined;
  if (isGiven(env, 'GRAPH_ENDPOINT')) return 'Graph stand-in: not started, GRAPH_ENDPOINT is given.';
  const given = isGiven(env, 'AZURE_AUTHORITY_HOST') ? 'AZURE_AUTHORITY_HOST' : "a vault and the app's own identity";
  return (
    `Graph stand-in: not started, as the Entra ID stand-in whose tokens it takes is not (given: ${given}). ` +
    "Graph accounts reach their cloud's own Graph."
  );
}

/** What the parts that were started offer. */
export interface StartedParts {
  readonly connectionString?: string | undefined;
  readonly authorityHost?: string | undefined;
  readonly keyVaultUri?: string | undefined;
  readonly graphEndpoint?: string | undefined;
  /** Where the stand-in for Graph calls the functions. */
  readonly publicUrl?: string | undefined;
  /** File with the authority of our certificate (and those that were trusted before). */
  readonly caFile?: string | undefined;
  readonly functionKey: string;
  readonly masterKey: string;
  readonly clientSecret: string;
}

/** The environment of the functions: what was given, and the rest from the parts that were started. */
export function functionsEnvironment(env: Environment, parts: StartedParts): Record<string, string | undefined> {
  const made: Record<string, string | undefined> = {
    ...defaultSchedules,
    KEY_VAULT_URI: parts.keyVaultUri,
    AZURE_AUTHORITY_HOST: parts.authorityHost,
    GRAPH_ENDPOINT: parts.graphEndpoint,
    PUBLIC_URL: parts.publicUrl,
    LOCAL_FUNCTION_KEY: parts.functionKey,
    LOCAL_MASTER_KEY: parts.masterKey,
    // The embedded SMTP sink and mailbox, and whatever else somebody tries on this machine.
    MAIL_ALLOWED_NETWORKS: '127.0.0.0/8,::1/128',
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8,::1/128',
    // The host takes 100 MiB by default; a ready-made mail may have 150 MiB.
    FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: String(160 * 1024 * 1024),
  };
  // By default the host takes 32 KB of headers, Node 16 KB.
  const nodeOptions = [env.NODE_OPTIONS ?? '', '--max-http-header-size=65536'].join(' ').trim();
  if (!isStorageGiven(env, 'MailStorage')) made.MailStorage = parts.connectionString;
  if (!isStorageGiven(env, 'AzureWebJobsStorage')) made.AzureWebJobsStorage = parts.connectionString;
  if (!hasIdentity(env)) {
    made.AZURE_TENANT_ID = localIdentity.tenantId;
    made.AZURE_CLIENT_ID = localIdentity.clientId;
    made.AZURE_CLIENT_SECRET = parts.clientSecret;
  }
  const given = Object.fromEntries(Object.entries(env).filter(([name]) => isGiven(env, name)));
  return {
    ...made,
    ...given,
    NODE_OPTIONS: nodeOptions,
    ...(parts.caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: parts.caFile }),
  };
}

/** An app registration that proves itself with a client secret. */
export interface AppIdentity {
  readonly tenantId: string;
  readonly clientId: string;
  readonly secret: string;
}

/** The app that the stand-in for Entra ID knows: the given identity, or the made-up one. */
export function registeredIdentity(env: Environment, clientSecret: string): AppIdentity {
  const given = hasIdentity(env);
  return {
    tenantId: (given && env.AZURE_TENANT_ID) || localIdentity.tenantId,
    clientId: (given && env.AZURE_CLIENT_ID) || localIdentity.clientId,
    secret: (given && env.AZURE_CLIENT_SECRET) || clientSecret,
  };
}

/** An empty setting counts as absent. */
export function isGiven(env: Environment, name: string): boolean {
  return (env[name] ?? '') !== '';
}

/** A connection string, or a section such as `MailStorage__blobServiceUri`. */
function isStorageGiven(env: Environment, name: string): boolean {
  return Object.keys(env).some((key) => (key === name || key.startsWith(`${name}__`)) && isGiven(env, key));
}

function hasIdentity(env: Environment): boolean {
  if (isGiven(env, 'IDENTITY_ENDPOINT')) return true;
  const proof = isGiven(env, 'AZURE_CLIENT_SECRET') || isGiven(env, 'AZURE_CLIENT_CERTIFICATE_PATH');
  return proof && isGiven(env, 'AZURE_TENANT_ID') && isGiven(env, 'AZURE_CLIENT_ID');
}
