import type { Mistake } from '../../platform/refusal.ts';
import { knownSuffix, protocolPairs, type ServerProtocol, splitName } from './known-properties.ts';
import type { PropertyReader } from './property-reader.ts';
import { nearest } from './suggestions.ts';

/** What `mail.transport.protocol` and `mail.store.protocol` can say. */
export type DeclaredProtocol = ServerProtocol | 'graph';

/** What the properties say, or leave to be understood, about how the account sends and fetches. */
export interface DeclaredProtocols {
  readonly transport: DeclaredProtocol | undefined;
  readonly store: DeclaredProtocol | undefined;
}

const protocolsOf = {
  transport: ['smtp', 'smtps', 'imap', 'imaps', 'graph'],
  store: ['pop3', 'pop3s', 'imap', 'imaps', 'graph'],
} as const;

/** The protocols of both endpoints. `notes` are for the account's warnings. */
export function declaredProtocols(
  reader: PropertyReader,
  names: readonly string[],
  notes: Mistake[],
): DeclaredProtocols {
  const declared = { transport: declaredProtocol(reader, 'transport'), store: declaredProtocol(reader, 'store') };
  const declares = reader.has('mail.transport.protocol') || reader.has('mail.store.protocol');
  if (!declares && isAppAlone(reader)) {
    const detail = 'neither a host nor a protocol is given: Microsoft Graph, by the app of client.id';
    notes.push({ pointer: '/transport/protocol', detail }, { pointer: '/store/protocol', detail });
    return { transport: 'graph', store: 'graph' };
  }
  // A protocol that is not understood is guessed from the rest, so that the rest is checked too.
  const transport = declared.transport ?? likelyTransport(reader, names, declared.store, notes);
  const store = declared.store ?? likelyStore(reader, transport, notes);
  if (transport === undefined && store === undefined)
    reader.wrong(
      'mail.transport.protocol',
      'is required, or mail.store.protocol: nothing here says how the account sends or fetches',
    );
  return { transport, store };
}

function declaredProtocol(reader: PropertyReader, side: 'transport' | 'store'): DeclaredProtocol | undefined {
  const name = `mail.${side}.protocol`;
  const text = reader.text(name)?.toLowerCase();
  if (text === undefined) return undefined;
  const protocol = protocolsOf[side].find((each) => each === text);
  if (protocol !== undefined) {
    reader.used(name, `the ${side}`);
    return protocol;
  }
  const meant = nearest(text, protocolsOf[side]);
  const other = protocolsOf[side === 'store' ? 'transport' : 'store'].some((each) => each === text);
  const hint = other
    ? `; ${text} cannot ${side === 'store' ? 'fetch' : 'send'}`
    : meant
      ? `; did you mean ${meant}?`
      : '';
  reader.wrong(name, `must be one of ${protocolsOf[side].join(', ')}${hint}`);
  return undefined;
}

/** An app of Entra ID and no server: the old platform's six properties of a mailbox on Graph. */
function isAppAlone(reader: PropertyReader): boolean {
  const servers = protocolPairs.flat();
  return (
    (reader.has('client.id') || reader.has('tenant.id')) &&
    !reader.has('mail.host') &&
    !servers.some((protocol) => hasHost(reader, protocol))
  );
}

const hasHost = (reader: PropertyReader, protocol: ServerProtocol): boolean => reader.has(`mail.${protocol}.host`);

/** Jakarta Mail sends by smtp by default (javamail.default.address.map). */
function likelyTransport(
  reader: PropertyReader,
  names: readonly string[],
  store: DeclaredProtocol | undefined,
  notes: Mistake[],
): DeclaredProtocol | undefined {
  const note = (detail: string) =>
    notes.push({ pointer: '/transport/protocol', detail: `mail.transport.protocol is not given: ${detail}` });
  const isSaid = (protocol: ServerProtocol) => names.some((name) => isKnownOf(name, protocol) && reader.has(name));
  const [first, second] = protocolPairs[0];
  if (hasHost(reader, second) && !hasHost(reader, first)) {
    note('smtps, since only mail.smtps.host is given, where Jakarta Mail would take smtp');
    return second;
  }
  // With a store, properties without a host are leftovers; without one they are all there is.
  if (hasHost(reader, first) || (store === undefined && (isSaid(first) || reader.has('mail.host')))) {
    if (store === undefined && !hasHost(reader, first) && likelyStores(reader).length > 0) return undefined;
    note('smtp, as in Jakarta Mail');
    return first;
  }
  return undefined;
}

function isKnownOf(name: string, protocol: ServerProtocol): boolean {
  const split = splitName(name);
  return split?.protocol === protocol && knownSuffix(split.suffix) !== undefined;
}

function likelyStores(reader: PropertyReader): readonly ServerProtocol[] {
  return [...protocolPairs[1], ...protocolPairs[2]].filter((protocol) => hasHost(reader, protocol));
}

/** The only protocol of stores that has a host and does not send. */
function likelyStore(
  reader: PropertyReader,
  transport: DeclaredProtocol | undefined,
  notes: Mistake[],
): DeclaredProtocol | undefined {
  if (reader.has('mail.store.protocol')) return undefined;
  const candidates = likelyStores(reader).filter((protocol) => protocol !== transport);
  const [first, ...more] = candidates;
  if (first === undefined) return undefined;
  if (more.length > 0)
    reader.wrong('mail.store.protocol', `is required: ${candidates.join(' and ')} have a host each`, '/store');
  else
    notes.push({ pointer: '/store/protocol', detail: `mail.store.protocol is not given: ${first}, which has a host` });
  return first;
}
