import type { Mistake } from '../../http/problem.ts';
import { knownSuffix, protocolPairs, type ServerProtocol, splitName } from './known-properties.ts';
import { nearest } from './near-miss.ts';
import type { PropertySheet } from './property-sheet.ts';

export type DeclaredProtocol = ServerProtocol | 'graph';

/** What the properties say, or leave to be understood, about how the account sends and fetches. */
export interface DeclaredEnds {
  readonly transport: DeclaredProtocol | undefined;
  readonly store: DeclaredProtocol | undefined;
}

const protocolsOf = {
  transport: ['smtp', 'smtps', 'imap', 'imaps', 'graph'],
  store: ['pop3', 'pop3s', 'imap', 'imaps', 'graph'],
} as const;

/** The protocols of both ends. `notes` are for the account's warnings. */
export function declaredEnds(sheet: PropertySheet, names: readonly string[], notes: Mistake[]): DeclaredEnds {
  const declared = { transport: declaredProtocol(sheet, 'transport'), store: declaredProtocol(sheet, 'store') };
  // A protocol that is not understood is guessed from the rest, so that the rest is checked too.
  const transport = declared.transport ?? likelyTransport(sheet, names, declared.store, notes);
  const store = declared.store ?? likelyStore(sheet, transport, notes);
  if (transport === undefined && store === undefined)
    sheet.wrong(
      'mail.transport.protocol',
      'is required, or mail.store.protocol: nothing here says how the account sends or fetches',
    );
  return { transport, store };
}

function declaredProtocol(sheet: PropertySheet, side: 'transport' | 'store'): DeclaredProtocol | undefined {
  const name = `mail.${side}.protocol`;
  const text = sheet.text(name)?.toLowerCase();
  if (text === undefined) return undefined;
  const protocol = protocolsOf[side].find((each) => each === text);
  if (protocol !== undefined) {
    sheet.used(name, `the ${side}`);
    return protocol;
  }
  const meant = nearest(text, protocolsOf[side]);
  const other = protocolsOf[side === 'store' ? 'transport' : 'store'].some((each) => each === text);
  const hint = other
    ? `; ${text} cannot ${side === 'store' ? 'fetch' : 'send'}`
    : meant
      ? `; did you mean ${meant}?`
      : '';
  sheet.wrong(name, `must be one of ${protocolsOf[side].join(', ')}${hint}`);
  return undefined;
}

const hasHost = (sheet: PropertySheet, protocol: ServerProtocol): boolean => sheet.has(`mail.${protocol}.host`);

/** Jakarta Mail sends by smtp unless told otherwise (javamail.default.address.map). */
function likelyTransport(
  sheet: PropertySheet,
  names: readonly string[],
  store: DeclaredProtocol | undefined,
  notes: Mistake[],
): DeclaredProtocol | undefined {
  const note = (detail: string) =>
    notes.push({ pointer: '/transport/protocol', detail: `mail.transport.protocol is not given: ${detail}` });
  const isSaid = (protocol: ServerProtocol) => names.some((name) => isKnownOf(name, protocol) && sheet.has(name));
  const [first, second] = protocolPairs[0];
  if (hasHost(sheet, second) && !hasHost(sheet, first)) {
    note('smtps, since only mail.smtps.host is given, where Jakarta Mail would take smtp');
    return second;
  }
  // With a store, properties without a host are leftovers; without one they are all there is.
  if (hasHost(sheet, first) || (store === undefined && (isSaid(first) || sheet.has('mail.host')))) {
    if (store === undefined && !hasHost(sheet, first) && likelyStores(sheet).length > 0) return undefined;
    note('smtp, as in Jakarta Mail');
    return first;
  }
  return undefined;
}

function isKnownOf(name: string, protocol: ServerProtocol): boolean {
  const split = splitName(name);
  return split?.protocol === protocol && knownSuffix(split.suffix) !== undefined;
}

function likelyStores(sheet: PropertySheet): readonly ServerProtocol[] {
  return [...protocolPairs[1], ...protocolPairs[2]].filter((protocol) => hasHost(sheet, protocol));
}

/** The only protocol of stores that has a host and does not send. */
function likelyStore(
  sheet: PropertySheet,
  transport: DeclaredProtocol | undefined,
  notes: Mistake[],
): DeclaredProtocol | undefined {
  if (sheet.has('mail.store.protocol')) return undefined;
  const candidates = likelyStores(sheet).filter((protocol) => protocol !== transport);
  const [first, ...more] = candidates;
  if (first === undefined) return undefined;
  if (more.length > 0)
    sheet.wrong('mail.store.protocol', `is required: ${candidates.join(' and ')} have a host each`, '/store');
  else
    notes.push({ pointer: '/store/protocol', detail: `mail.store.protocol is not given: ${first}, which has a host` });
  return first;
}
