import { z } from 'zod';
import type { GraphStoreConfig, GraphTransportConfig } from '../../accounts/model.ts';
import { NetworkPolicy } from '../../platform/network-policy.ts';
import { secretScrub } from '../redaction.ts';
import { StoreError } from '../store.ts';
import { type Endpoint, serverSteps } from '../verify/server-steps.ts';
import { type Finding, type Step, tryInOrder } from '../verify/steps.ts';
import { storeFailure } from '../verify/store-steps.ts';
import { graphPath, graphUrl } from './addresses.ts';
import type { GraphPlace } from './cloud.ts';
import { Folders } from './folders.ts';
import type { GraphClient } from './graph-client.ts';
import { GraphError } from './graph-error.ts';
import { storeError } from './store/store-errors.ts';

/** Application permissions of Microsoft Graph that Mailroom knows what to do with. */
type Permission = 'Mail.Read' | 'Mail.ReadWrite' | 'Mail.Send';

/** What the account needs of its mailbox. */
export interface VerifyGraphOptions {
  readonly signal: AbortSignal;
  readonly place: GraphPlace;
  readonly needs: readonly Permission[];
  readonly folders: readonly string[];
  /** Signs in. Throws GraphError. */
  signIn(signal: AbortSignal): Promise<SignedIn>;
}

/** A client, and the token that it works with. */
export interface SignedIn {
  readonly token: string;
  readonly client: GraphClient;
}

/** Longest silence of Graph in a verification, in ms. */
const silenceMs = 20_000;

/** Tries whether an account can work with its mailbox by Microsoft Graph. Only reads. */
export async function verifyGraph(
  config: GraphStoreConfig | GraphTransportConfig,
  options: VerifyGraphOptions,
): Promise<readonly Step[]> {
  const { place, signal, needs, folders } = options;
  let signedIn: SignedIn | undefined;
  const session = () => {
    if (!signedIn) throw new Error('the sign-in comes first');
    return signedIn;
  };
  try {
    return await tryInOrder(
      [
        ...serverSteps(graphEndpoint(place), signal),
        {
          step: 'signIn',
          run: async () => {
            signedIn = await options.signIn(signal);
            return { detail: `as ${config.credential.type} at ${new URL(place.authorityHost).host}` };
          },
        },
        { step: 'permission', run: () => permission(config.userId, session(), needs, signal) },
        ...(folders.length === 0
          ? []
          : [{ step: 'folder' as const, run: () => find(config.userId, session(), folders, signal) }]),
      ],
      // The errors of the steps before the sign-in are the network's own.
      (error) => storeFailure(error instanceof GraphError ? storeError(error, signal) : error),
    );
  } finally {
    signedIn?.client.close();
  }
}

function graphEndpoint({ origin }: GraphPlace): Endpoint {
  const { hostname, port } = new URL(origin);
  return {
    host: hostname,
    port: Number(port || 443),
    secureName: 'https',
    tls: { starttls: 'required', ca: null, minVersion: 'TLSv1.2' },
    secret: 'token',
    connectionTimeout: silenceMs,
    timeout: silenceMs,
    // The operator says where Graph is, and no account.
    network: new NetworkPolicy([]),
  };
}

/**
 * What the token carries, and whether the mailbox answers. Exchange's RBAC for Applications grants without a word in
 * the token (Microsoft Learn, "Role Based Access Control for Applications in Exchange Online"): what is not in it and
 * cannot be read to be granted is unknown.
 */
async function permission(
  userId: string,
  { token, client }: SignedIn,
  needs: readonly Permission[],
  signal: AbortSignal,
): Promise<Finding> {
  const roles = rolesOf(token);
  const has = (need: Permission) => roles.includes(need) || (need === 'Mail.Read' && roles.includes('Mail.ReadWrite'));
  const missing = needs.filter((need) => !has(need));
  const mayRead = has('Mail.Read');
  if (needs.some((need) => need !== 'Mail.Send') || mayRead) {
    // Also finds a mailbox that is not there, or has no licence.
    const url = graphUrl(client.place, graphPath('users', userId, 'mailFolders', 'inbox'), { $select: 'id' });
    await client.json({ method: 'GET', url, signal }, z.object({ id: z.string() }));
  }
  if (missing.length === 0) return { detail: `the token carries ${needs.join(', ')}` };
  const carried = roles.filter((role) => role.startsWith('Mail.'));
  const changes = missing.filter((need) => need === 'Mail.ReadWrite');
  if (changes.length > 0 && mayRead) {
    const hint = `The app may read the mailbox and not change it. Grant it Mail.ReadWrite (application) and consent, or by Exchange RBAC; without it, use markRead false, delete never${needs.includes('Mail.Send') ? ', sendMode direct' : ''}.`;
    return { status: 'failed', code: 'Mail.ReadWrite', detail: `the token carries ${carried.join(', ')}`, hint };
  }
  const shows = missing.includes('Mail.Send') ? 'when a mail is sent' : 'at the first change';
  return {
    status: 'unknown',
    code: missing.join(', '),
    detail: carried.length === 0 ? 'the token carries no Mail permission' : `the token carries ${carried.join(', ')}`,
    hint: `The token does not carry ${missing.join(' and ')}. Exchange RBAC may grant it all the same, which shows only ${shows}; else grant it (application) and consent.`,
  };
}

async function find(
  userId: string,
  { client, token }: SignedIn,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Finding> {
  const folders = new Folders(client, userId);
  const missing: StoreError[] = [];
  for (const name of names) {
    try {
      await folders.id(name, signal);
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === 'folderMissing')) throw error;
      missing.push(error);
    }
  }
  const [first] = missing;
  if (!first) return { detail: names.join(', ') };
  const scrub = secretScrub(token);
  // Whoever answers may call a folder anything, also by what it was sent.
  const there = (await topFolders(userId, client, signal)).filter((name) => scrub(name) === name);
  return {
    status: 'failed',
    code: first.code,
    detail: missing.map(({ message }) => message).join('; '),
    hint: `The folders there are: ${there.map((name) => JSON.stringify(name)).join(', ')}. ${first.hint ?? ''}`.trim(),
  };
}

/** Folder names that a hint lists at most. */
const maxHinted = 20;

const namesSchema = z.object({ value: z.array(z.object({ displayName: z.string().nullish() })) });

async function topFolders(userId: string, client: GraphClient, signal: AbortSignal): Promise<readonly string[]> {
  const url = graphUrl(client.place, graphPath('users', userId, 'mailFolders'), {
    $select: 'displayName',
    $top: maxHinted,
  });
  const { value } = await client.json({ method: 'GET', url, signal }, namesSchema);
  return value.flatMap(({ displayName }) => (displayName ? [displayName.slice(0, 80)] : []));
}

const claimsSchema = z.object({ roles: z.array(z.string()).default([]) });

/**
 * The app roles in a token, for a hint only: what counts is what Graph answers. None where the token is of a form that
 * cannot be read.
 */
function rolesOf(token: string): readonly string[] {
  try {
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
    return claimsSchema.parse(JSON.parse(payload)).roles;
  } catch {
    return [];
  }
}
