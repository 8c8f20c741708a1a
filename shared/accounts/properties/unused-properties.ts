import {
  javaOnlyReason,
  type KnownProperty,
  knownSuffix,
  protocolPairs,
  type ServerProtocol,
  splitName,
} from './known-properties.ts';
import type { PropertyReport } from './properties-form.ts';
import type { PropertyReader } from './property-reader.ts';
import type { DeclaredProtocols } from './protocols.ts';
import { suggestProperty } from './suggestions.ts';

const knownReasons: Readonly<Record<string, string>> = {
  'mail.server': 'the host name of the old platform itself, which nothing here needs',
  'mail.host': 'every server has a host of its own',
  'mail.user': 'nobody signs in by it: every server has a user of its own, or needs none',
  'client.id': 'nothing here signs in as an app',
  'client.secret': 'nothing here signs in as an app; it is not kept',
  'tenant.id': 'nothing here signs in as an app',
  'user.id': 'no mailbox here needs it',
};

const sibling = (protocol: ServerProtocol): ServerProtocol => {
  const pair = protocolPairs.find((each) => each.some((one) => one === protocol));
  return pair?.find((one) => one !== protocol) ?? protocol;
};

/** Outcome and reason of a property that neither transport nor store read. */
export function explainUnused(
  reader: PropertyReader,
  protocols: DeclaredProtocols,
  name: string,
): Omit<PropertyReport, 'name'> {
  const ignored = (detail: string) => ({ outcome: 'ignored' as const, detail });
  const inUse = [protocols.transport, protocols.store].filter((protocol) => protocol !== undefined);
  if (Object.hasOwn(knownReasons, name)) return ignored(knownReasons[name] ?? '');
  const split = splitName(name);
  if (split?.protocol === 'graph')
    return ignored('a mailbox of Microsoft Graph is client.id, tenant.id, client.secret and user.id');
  const known = split && knownSuffix(split.suffix);
  if (split && known) {
    const { protocol, suffix } = split;
    if (!known.protocols.includes(protocol)) return ignored(`only ${known.protocols.join(' and ')} have it`);
    const other = sibling(protocol);
    if (inUse.includes(other)) return wrongPrefix(reader, other, suffix, known);
    return ignored(`the account neither sends nor fetches by ${protocol}${described(protocols)}${notKept(suffix)}`);
  }
  const reason = split && javaOnlyReason(split.suffix);
  if (reason !== undefined) return ignored(reason);
  const suggestion = suggestProperty(
    name,
    inUse.map((protocol) => `mail.${protocol}.`),
  );
  return ignored(
    `not known here${suggestion === undefined ? ': it changes nothing' : `; did you mean ${suggestion}?`}`,
  );
}

const notKept = (suffix: string): string => (suffix === 'password' ? '; it is not kept' : '');

function wrongPrefix(
  reader: PropertyReader,
  used: ServerProtocol,
  suffix: string,
  known: KnownProperty,
): Omit<PropertyReport, 'name'> {
  const right = `mail.${used}.${suffix}`;
  const verb = reader.has(right) ? 'is given and sets' : 'would set';
  return {
    outcome: 'wrongPrefix',
    detail: `${used} reads only mail.${used}.*, in Jakarta Mail too; ${right} ${verb} ${known.becomes}${notKept(suffix)}`,
  };
}

function described({ transport, store }: DeclaredProtocols): string {
  const endpoints = [
    ...(transport ? [`the transport is ${transport}`] : []),
    ...(store ? [`the store is ${store}`] : []),
  ];
  return endpoints.length === 0 ? '' : `: ${endpoints.join(', ')}`;
}
