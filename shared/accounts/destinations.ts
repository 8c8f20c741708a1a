import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Mistake } from '../platform/refusal.ts';
import type { SecretKind } from '../secrets/bound-secrets.ts';
import { defaultPorts, type GraphCredential, type SinkTransportConfig, type TlsConfig } from './model.ts';
import type { Account } from './rules.ts';

/** A transport or a store that connects to something. */
export type Endpoint = Exclude<NonNullable<Account['transport'] | Account['store']>, SinkTransportConfig>;

/** How well a connection is protected; compared only where secret and place are the same. */
const protectionSchema = z.object({
  starttls: z.enum(['never', 'preferred', 'required']),
  /** Chain and name of the certificate are checked. */
  checked: z.boolean(),
  /** Hash of the account's own bundle of authorities; empty: the system's. */
  ca: z.string(),
  minVersion: z.enum(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']),
});

/**
 * Where a secret is sent, and as whom; a field that the endpoint does not have is empty, and on Graph `host` is the
 * cloud. Rows of accounts keep it under these names.
 */
const placeSchema = z.object({
  protocol: z.string(),
  host: z.string(),
  port: z.number(),
  user: z.string(),
  tenant: z.string(),
  app: z.string(),
});

const destinationSchema = z.object({
  /** In lower case, as Key Vault compares names. */
  secret: z.string(),
  place: placeSchema,
  protection: protectionSchema.nullable(),
});

/** An endpoint of an account that one of its secrets may be sent to. */
export type Destination = z.output<typeof destinationSchema>;

type Protection = z.output<typeof protectionSchema>;

/** A secret that an account names: where in its document, for which use, and where it would be sent. */
export interface NamedSecret {
  readonly pointer: string;
  readonly name: string;
  readonly kind: SecretKind;
  readonly destination: Destination;
}

/** A webhook's secret signs and is sent to nobody: another target is no reason to write it again. */
const unsent: Omit<Destination, 'secret'> = {
  place: { protocol: 'webhook', host: '', port: 0, user: '', tenant: '', app: '' },
  protection: null,
};

/** Every secret that an account names. */
export function secretsOf({
  transport,
  store,
  webhook,
}: Pick<Account, 'transport' | 'store'> & Partial<Pick<Account, 'webhook'>>): readonly NamedSecret[] {
  return [
    ...(transport && transport.protocol !== 'sink' ? secretOf('transport', transport) : []),
    ...(store ? secretOf('store', store) : []),
    ...(webhook ? [named('/webhook/secret', webhook.secret, 'webhook', unsent)] : []),
  ];
}

function secretOf(side: 'transport' | 'store', endpoint: Endpoint): readonly NamedSecret[] {
  const found = secretOfEndpoint(endpoint);
  return found ? [{ ...found, pointer: `/${side}/${found.pointer}` }] : [];
}

/** The secret of one endpoint; undefined where it needs none. Its pointer is within the endpoint. */
export function secretOfEndpoint(endpoint: Endpoint): NamedSecret | undefined {
  if (endpoint.protocol === 'graph') {
    const { credential, cloud, userId } = endpoint;
    if (credential.type === 'managedIdentity') return undefined;
    const place = { protocol: 'graph', host: cloud, port: 443, user: userId.toLowerCase(), ...appOf(credential) };
    return named('credential/secret', credential.secret, credential.type, { place, protection: null });
  }
  const { protocol, host, port = defaultPorts[endpoint.protocol], auth, tls } = endpoint;
  if (auth.type === 'none') return undefined;
  const at = { protocol, host: plainHost(host), port, user: auth.user };
  const protection = protectionOf(host, tls);
  if (auth.type === 'password')
    return named('auth/secret', auth.secret, 'password', { place: { ...at, tenant: '', app: '' }, protection });
  const { credential } = auth;
  if (credential.type === 'managedIdentity') return undefined;
  return named('auth/credential/secret', credential.secret, credential.type, {
    place: { ...at, ...appOf(credential) },
    protection,
  });
}

function named(pointer: string, name: string, kind: SecretKind, destination: Omit<Destination, 'secret'>): NamedSecret {
  return { pointer, name, kind, destination: { secret: name.toLowerCase(), ...destination } };
}

function appOf(credential: Exclude<GraphCredential, { type: 'managedIdentity' }>) {
  return { tenant: credential.tenantId.toLowerCase(), app: credential.clientId.toLowerCase() };
}

const plainHost = (host: string): string => host.toLowerCase().replace(/\.$/, '');

function protectionOf(host: string, { starttls, trust, ca, minVersion }: TlsConfig): Protection {
  // A list that does not name the host refuses every connection: nothing crosses it.
  const unchecked = trust === '*' || trust?.some((each) => plainHost(each) === plainHost(host)) === true;
  return {
    starttls,
    checked: !unchecked,
    ca: ca === null || unchecked ? '' : createHash('sha256').update(ca).digest('base64'),
    minVersion,
  };
}

const starttlsOrder = ['never', 'preferred', 'required'] as const;
const versionOrder = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

/** What makes `wanted` another endpoint, or a weaker one, than `known`: fields of the account, for a person; [] for nothing. */
function changesOf(known: Destination, wanted: Destination): readonly string[] {
  const names = { protocol: 'protocol', host: 'host', port: 'port', user: 'user', tenant: 'tenantId', app: 'clientId' };
  const graph = wanted.place.protocol === 'graph';
  const changed = (Object.keys(names) as (keyof typeof names)[])
    .filter((field) => known.place[field] !== wanted.place[field])
    .map((field) => (graph && field === 'host' ? 'cloud' : graph && field === 'user' ? 'userId' : names[field]));
  const [before, after] = [known.protection, wanted.protection];
  // TLS from the start needs no STARTTLS.
  const plain = !wanted.place.protocol.endsWith('s');
  if (before && after) {
    if (plain && starttlsOrder.indexOf(after.starttls) < starttlsOrder.indexOf(before.starttls))
      changed.push('tls.starttls');
    if (before.checked && !after.checked) changed.push('tls.trust');
    if (after.checked && after.ca !== '' && after.ca !== before.ca && before.checked) changed.push('tls.ca');
    if (versionOrder.indexOf(after.minVersion) < versionOrder.indexOf(before.minVersion))
      changed.push('tls.minVersion');
  }
  return changed;
}

/** The fewest changes that lead from one of `known` to `wanted`; [] where one covers it, or none is known. */
export function leastChanges(known: readonly Destination[], wanted: Destination): readonly string[] {
  const all = known.map((each) => changesOf(each, wanted)).sort((a, b) => a.length - b.length);
  return all[0] ?? [];
}

/** A secret that is not sent to its endpoint until it is written again. */
export interface WaitingSecret {
  readonly pointer: string;
  readonly secret: string;
  /** Fields that were changed. */
  readonly changed: readonly string[];
}

/** A warning for each secret that waits. */
export function waitingWarnings(waiting: readonly WaitingSecret[]): readonly Mistake[] {
  return waiting.map(({ pointer, secret, changed }) => ({
    pointer,
    detail: `waits: ${changed.join(', ')} changed, and the secret ${secret} is not sent there until it is written again, or the change is made by whoever may write secrets`,
  }));
}

/** A change of an account, as far as it decides where secrets may be sent. */
export interface ConfirmedChange {
  /** What the account was, with what is known of its secrets; undefined where there was none. */
  readonly before:
    | { readonly endpoints: Pick<Account, 'transport' | 'store'>; readonly known: readonly Destination[] }
    | undefined;
  readonly next: Pick<Account, 'transport' | 'store'>;
  /** Secrets (lower case) that this change writes; or `all`, where whoever makes it may write any. */
  readonly confirmed: ReadonlySet<string> | 'all';
  /** Secrets (lower case) that are in Key Vault, or may be. */
  readonly present: ReadonlySet<string>;
}

/**
 * Which endpoints secrets may be sent to after a change of the account, and which secrets wait. An endpoint that was confirmed
 * stays so, also while the account does not name it: who removes and adds it again gains nothing by it. A secret that
 * was never used may be sent to the first endpoint that names it.
 */
export function confirmDestinations({ before, next, confirmed, present }: ConfirmedChange): {
  readonly known: readonly Destination[];
  readonly waiting: readonly WaitingSecret[];
} {
  const wanted = secretsOf(next);
  const isConfirmed = (secret: string) => confirmed === 'all' || confirmed.has(secret);
  const namedBefore = before ? secretsOf(before.endpoints).map(({ destination }) => destination) : [];
  const explicit = before?.known ?? [];
  const secrets = new Set(
    [...explicit, ...namedBefore, ...wanted.map(({ destination }) => destination)].map((each) => each.secret),
  );
  const known: Destination[] = [];
  const waiting: WaitingSecret[] = [];
  for (const secret of secrets) {
    const endpoints = wanted.filter(({ destination }) => destination.secret === secret);
    if (endpoints.length > 0 && isConfirmed(secret)) {
      known.push(...endpoints.map(({ destination }) => destination));
      continue;
    }
    const own = knownFor(secret, explicit, present.has(secret) ? namedBefore : []);
    // An endpoint that is as strong as a known one, or stronger, replaces it: a step back to the weaker one is noticed
    // then.
    const covered = endpoints.filter(
      ({ destination }) => own.length > 0 && leastChanges(own, destination).length === 0,
    );
    known.push(
      ...own.map(
        (each) => covered.find(({ destination }) => changesOf(each, destination).length === 0)?.destination ?? each,
      ),
    );
    for (const { pointer, name, destination } of endpoints) {
      const changed = leastChanges(own, destination);
      if (changed.length > 0) waiting.push({ pointer, secret: name, changed });
    }
  }
  return { known, waiting };
}

/** The endpoints known for a secret: those kept for it, else those that name it. */
export function knownFor(
  secret: string,
  kept: readonly Destination[],
  naming: readonly Destination[],
): readonly Destination[] {
  const own = kept.filter((each) => each.secret === secret);
  return own.length > 0 ? own : naming.filter((each) => each.secret === secret);
}

/** Reads what an account's row keeps; nothing of it is from outside, and what cannot be read is no confirmation. */
export function parseDestinations(text: unknown): readonly Destination[] {
  if (typeof text !== 'string' || text === '') return [];
  return z.array(destinationSchema).parse(JSON.parse(text));
}
