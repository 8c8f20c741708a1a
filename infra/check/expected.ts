import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { maxSendAheadMs } from '../../shared/outbox/accepting/request.ts';
import { giveUpAfterMs } from '../../shared/outbox/delivering/retry.ts';
import { defaultSchedules } from '../../shared/platform/environment.ts';
import { settingNames } from '../../shared/platform/settings.ts';
import { containerNames, queueNames, tableNames } from '../../shared/platform/storage.ts';

const dayMs = 86_400_000;

/** Settings of the platform and the host: set by Azure, or read by neither Mailroom nor its SDKs. */
const platformSets: ReadonlySet<string> = new Set(['IDENTITY_ENDPOINT', 'WEBSITE_AUTH_ENABLED', 'WEBSITE_HOSTNAME']);

/** Another way to say who the app is, or where its storage is, than the managed identity: never both. */
const otherIdentity: ReadonlySet<string> = new Set([
  'MailStorage',
  'AZURE_TENANT_ID',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
]);

/** Set only where its parameter is given: an SDK would take an empty one at its word. */
export const onlyWhenGiven: readonly string[] = ['GRAPH_ENDPOINT', 'AZURE_AUTHORITY_HOST', 'EVENT_GRID_TOPIC_ENDPOINT'];

/** Read by the Functions host. */
export const hostSettings: readonly string[] = [
  'AzureWebJobsStorage__credential',
  'AzureWebJobsStorage__clientId',
  'AzureWebJobsStorage__blobServiceUri',
  'AzureWebJobsStorage__queueServiceUri',
  'AzureWebJobsStorage__tableServiceUri',
  'APPLICATIONINSIGHTS_CONNECTION_STRING',
  'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
  'FUNCTIONS_REQUEST_BODY_SIZE_LIMIT',
  'NODE_OPTIONS',
];

/** What the code says, that the deployment has to agree with. */
export interface Expected {
  readonly containers: readonly string[];
  readonly queues: readonly string[];
  readonly tables: readonly string[];
  /** Settings of Mailroom's own that are set. */
  readonly settings: readonly string[];
  readonly schedules: Readonly<Record<string, string>>;
  /** Paths that the code answers without asking who has signed in: everybody, or whoever has a key. */
  readonly openPaths: readonly string[];
  /** Days that MIME may lie in the outbox before its message has ended, for as long as the code may need it. */
  readonly longestOpenDays: number;
}

/** Reads it from the sources. Throws where something is written in another way than this understands. */
export function expectedByCode(): Expected {
  const functions = functionSources();
  const triggers = functions.flatMap((source) => everyOne(source, /app\.storageQueue\(/g, /queueName: '([^']+)'/g));
  const open = functions.flatMap((source) =>
    everyOne(source, /authLevel: '/g, /route: '([^']+)',\s*authLevel: '(?:anonymous|function)'/g),
  );
  const environment = readFileSync(new URL('../../shared/platform/environment.ts', import.meta.url), 'utf8');
  const read = new Set([
    ...settingNames,
    ...Object.keys(defaultSchedules),
    ...found(environment, /environment\(\)\.(\w+)/g),
  ]);
  return {
    containers: Object.values(containerNames),
    queues: [...Object.values(queueNames), ...triggers.map((queue) => `${queue}-poison`)],
    tables: Object.values(tableNames),
    settings: [...read].filter((name) => !platformSets.has(name) && !otherIdentity.has(name)),
    schedules: defaultSchedules,
    // What no route takes is nothing: with the sign-in in front it may be refused before it is found missing.
    openPaths: open.filter((route) => !route.startsWith('{*')).map((route) => `/api/${route.replace(/\{\*.*/, '*')}`),
    longestOpenDays: (maxSendAheadMs + giveUpAfterMs) / dayMs,
  };
}

function functionSources(): readonly string[] {
  const folder = new URL('../../functions/', import.meta.url);
  return readdirSync(fileURLToPath(folder))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => readFileSync(new URL(name, folder), 'utf8'));
}

const found = (source: string, pattern: RegExp) => [...source.matchAll(pattern)].map((match) => match[1] ?? '');

/** What `pattern` finds, which must be as often as `mark` is there: nothing written another way is missed. */
function everyOne(source: string, mark: RegExp, pattern: RegExp): readonly string[] {
  const names = found(source, pattern);
  const marks = [...source.matchAll(mark)].length;
  if (names.length !== marks)
    throw new Error(`${mark.source} is there ${marks} times, and understood ${names.length} times`);
  return names;
}
