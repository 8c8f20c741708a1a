import { isDeepStrictEqual } from 'node:util';
import { peek } from '../../platform/validation.ts';
import type { Endpoint } from '../destinations.ts';
import { type Account, resolveAccount } from '../rules.ts';
import type { PropertyReport } from './properties-form.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Fields that properties can set: where they do not, the default applies. All others are kept from the account. */
const settable = {
  account: ['name', 'from', 'sender', 'transport', 'store', 'import', 'debug'],
  endpoint: [
    ...['protocol', 'host', 'port', 'auth', 'tls', 'connectionTimeout', 'timeout', 'heloName', 'dsn'],
    ...['userId', 'credential'],
  ],
  import: ['delete'],
} as const;

/** Fields of the import rule that depend on what the store can do. */
const ofStore: readonly string[] = ['markRead', 'deleteMode', 'moveTo'];

/** The account's input with what was kept, and a report entry for each field that was. */
export interface KeptFields {
  readonly input: Fields;
  readonly report: readonly PropertyReport[];
}

/**
 * Adds to an account made of properties what the existing account has and properties cannot set: its schedule, folders,
 * limits and so on, as far as they fit the new transport and store. `secrets`: names of secrets whose values came with
 * the properties. The report names each field that was kept.
 */
export function keepExisting(
  name: string,
  input: Fields,
  before: Account | undefined,
  secrets: readonly string[],
): KeptFields {
  if (!before) return { input, report: [] };
  const keeper = new Keeper(name, before, secrets);
  const kept = keeper.account(input);
  return { input: kept, report: keeper.report };
}

/** A part of the account that is merged. */
interface MergePlace {
  /** Its name in the report; empty for the account itself. */
  readonly place: string;
  readonly defaults: Fields;
  readonly settable: readonly string[];
}

class Keeper {
  readonly report: PropertyReport[] = [];
  readonly #before: Account;
  readonly #defaults: Account;
  readonly #secrets: readonly string[];

  constructor(name: string, before: Account, secrets: readonly string[]) {
    this.#before = before;
    this.#secrets = secrets;
    const { transport, store } = before;
    // What the account would be with nothing but what properties can set.
    this.#defaults = resolveAccount(name, {
      from: before.from,
      ...(transport ? { transport: pick(transport, settable.endpoint) } : {}),
      ...(store ? { store: pick(store, settable.endpoint) } : {}),
    }).account;
  }

  account(input: Fields): Fields {
    const { transport, store } = this.#before;
    const endpoints = {
      ...this.#endpoint('transport', input, transport),
      ...this.#endpoint('store', input, store),
    };
    const sameStore = family(peek(input, ['store', 'protocol'])) === family(store?.protocol);
    const importBefore = omit(this.#before.import, sameStore ? [] : ofStore);
    const given = asFields(input.import);
    const rule = this.#merge(given, importBefore, {
      place: 'import',
      defaults: asFields(this.#defaults.import),
      settable: settable.import,
    });
    const account = {
      ...input,
      ...endpoints,
      ...(input.import === undefined || isFields(input.import) ? { import: rule } : {}),
    };
    return this.#merge(account, asFields(this.#before), {
      place: '',
      defaults: asFields(this.#defaults),
      settable: settable.account,
    });
  }

  #endpoint(side: 'transport' | 'store', input: Fields, before: Account['transport'] | Account['store']): Fields {
    const endpoint = input[side];
    if (!before || !isFields(endpoint) || family(endpoint.protocol) !== family(before.protocol)) return {};
    const storeIsImap = family(peek(input, ['store', 'protocol'])) === 'imap';
    const merged = this.#merge(endpoint, omit(before, storeIsImap ? [] : ['saveToSent']), {
      place: side,
      defaults: asFields(this.#defaults[side]),
      settable: settable.endpoint,
    });
    if (before.protocol === 'sink') return { [side]: merged };
    return { [side]: { ...merged, ...this.#tls(side, endpoint, before), ...this.#signIn(side, endpoint, before) } };
  }

  /** The bundle of authorities that goes with the host. */
  #tls(side: string, endpoint: Fields, before: Endpoint): Fields {
    if (before.protocol === 'graph' || before.tls.ca === null || endpoint.host !== before.host) return {};
    const tls = asFields(endpoint.tls);
    if (tls.starttls === 'never' || tls.trust !== undefined) return {};
    this.#reportKept(`${side}.tls.ca`);
    return { tls: { ...tls, ca: before.tls.ca } };
  }

  /** Keeps the name of a secret, or a certificate, if the properties have no new value. */
  #signIn(side: string, endpoint: Fields, before: Endpoint): Fields {
    const beforeAuth = before.protocol === 'graph' ? undefined : before.auth;
    const auth = asFields(endpoint.auth);
    if (beforeAuth?.type === 'password' && auth.type === 'password') {
      const { secret } = beforeAuth;
      const isNew = this.#secrets.includes(String(auth.secret));
      if (isNew || auth.user !== beforeAuth.user || auth.secret === secret) return {};
      this.#reportKept(`${side}.auth.secret`);
      return { auth: { ...auth, secret } };
    }
    const known =
      before.protocol === 'graph'
        ? before.credential
        : beforeAuth?.type === 'oauth2'
          ? beforeAuth.credential
          : undefined;
    const credential = asFields(before.protocol === 'graph' ? endpoint.credential : auth.credential);
    if (!known || known.type === 'managedIdentity' || this.#secrets.includes(String(credential.secret))) return {};
    const same = credential.tenantId === known.tenantId && credential.clientId === known.clientId;
    if (!same || (credential.type === known.type && credential.secret === known.secret)) return {};
    const path = before.protocol === 'graph' ? 'credential' : 'auth.credential';
    this.#reportKept(`${side}.${path}`);
    return before.protocol === 'graph' ? { credential: known } : { auth: { ...auth, credential: known } };
  }

  /** `given`, and of `before` what is missing in `given`, differs from the defaults and cannot be set by properties. */
  #merge(given: Fields, before: Fields, { place, defaults, settable }: MergePlace): Fields {
    const merged: Record<string, unknown> = { ...given };
    for (const [field, value] of Object.entries(before)) {
      if (settable.includes(field) || given[field] !== undefined || isDeepStrictEqual(value, defaults[field])) continue;
      // A mail is moved or deleted, not both: what the request says comes first.
      if (place === 'import' && field === 'moveTo' && (given.delete ?? 'never') !== 'never') continue;
      merged[field] = value;
      this.#reportKept(place === '' ? field : `${place}.${field}`);
    }
    return merged;
  }

  #reportKept(name: string): void {
    this.report.push({ name, outcome: 'used', detail: 'kept from the account: the properties do not say it' });
  }
}

/** Protocols that have the same fields. */
function family(protocol: unknown): string {
  return typeof protocol === 'string' ? protocol.replace(/s$/, '') : '';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asFields(value: unknown): Fields {
  return isFields(value) ? value : {};
}

function pick(value: object, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));
}

function omit(value: object, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));
}
