import type { LocalCertificate } from '../certificate.ts';
import type { TokenAuthority } from '../entra/entra.ts';
import { type HttpsAnswer, type HttpsRequest, startHttps } from '../https-server.ts';
import { tokenFault, vaultResource } from './bearer.ts';
import { type VaultOperation, type VaultRefusal, VaultRefusals } from './refusals.ts';
import { Vault } from './vault.ts';
import { badParameter, VaultError } from './vault-error.ts';
import { type SecretVersion, type StoredSecret, vaultFile } from './vault-file.ts';

export interface KeyVaultOptions {
  readonly certificate: LocalCertificate;
  /** Whose tokens it trusts, and the tenant that its challenge names. */
  readonly authority: TokenAuthority;
  readonly tenantId: string;
  /** Where secrets are kept (mode 0600). Absent: in memory. */
  readonly file?: string;
  /** Absent: the system picks. */
  readonly port?: number;
}

export interface KeyVault {
  readonly uri: string;
  readonly port: number;
  /** How many calls with a valid token it has answered. */
  calls(): number;
  /** Refuses an operation from now on, as Azure does for that reason; undefined allows it again. */
  refuse(operation: VaultOperation, refusal: VaultRefusal | undefined): void;
  stop(): Promise<void>;
}

/** Days a deleted secret can be recovered; as callers are answered, while this vault keeps it for good. */
const recoverableDays = 90;
/** Key Vault's own limit of a page. */
const maxPage = 25;
const namePattern = /^[0-9a-zA-Z-]{1,127}$/;

/**
 * A stand-in for the secrets of an Azure Key Vault on 127.0.0.1, with soft delete. Whoever has a valid token for the
 * vault may do everything but what `refuse` names. The SDK needs `disableChallengeResourceVerification` for it.
 */
export async function startKeyVault(options: KeyVaultOptions): Promise<KeyVault> {
  const vault = await Vault.open(vaultFile(options.file));
  const refusals = new VaultRefusals();
  let calls = 0;
  const server = await startHttps({
    certificate: options.certificate,
    ...(options.port === undefined ? {} : { port: options.port }),
    async answer(request) {
      const fault = await tokenFault(request.headers.authorization, options.authority);
      if (fault !== undefined) return challenge(fault, options);
      calls += 1;
      try {
        return await route(request, vault, refusals);
      } catch (error) {
        if (error instanceof VaultError) return error.toAnswer();
        throw error;
      }
    },
  });
  return {
    uri: `https://localhost:${server.port}`,
    port: server.port,
    calls: () => calls,
    refuse: (...refused) => refusals.set(...refused),
    stop: () => server.stop(),
  };
}

/** RFC 6750 section 3, with the parameters that Key Vault's clients read. */
function challenge(fault: string, { authority, tenantId }: KeyVaultOptions): HttpsAnswer {
  return {
    status: 401,
    headers: {
      'www-authenticate': `Bearer authorization="${authority.authorityHost}/${tenantId}", resource="${vaultResource}"`,
    },
    body: { error: { code: 'Unauthorized', message: fault } },
  };
}

async function route(request: HttpsRequest, vault: Vault, refusals: VaultRefusals): Promise<HttpsAnswer> {
  const [collection = '', name, version, ...more] = request.path;
  if (!/^\d/.test(request.query.get('api-version') ?? '')) throw badParameter('The api-version is missing or unknown.');
  if (more.length > 0) throw new VaultError(404, 'NotFound', 'There is no such address.');
  if (name !== undefined && !namePattern.test(name)) {
    throw badParameter('The name of a secret is 1 to 127 letters, digits and dashes.');
  }
  const { origin } = request;
  const kind = `${request.method} ${collection}${name === undefined ? '' : '/name'}`;
  if (kind === 'GET secrets')
    return page(
      request,
      vault.list('active').map((one) => newestItem(origin, one)),
    );
  if (kind === 'GET deletedsecrets') {
    return page(
      request,
      vault.list('deleted').map((one) => ({ ...newestItem(origin, one), ...deletion(origin, one) })),
    );
  }
  if (name === undefined) throw new VaultError(404, 'NotFound', 'There is no such address.');
  const deleted = (secret: StoredSecret) => ({ ...newestItem(origin, secret, true), ...deletion(origin, secret) });
  switch (`${kind}${version === 'versions' || version === 'recover' ? `/${version}` : version ? '/version' : ''}`) {
    case 'PUT secrets/name':
      refusals.check('set');
      return ok(bundle(origin, name, await vault.put(name, jsonBody(request))));
    case 'GET secrets/name':
    case 'GET secrets/name/version':
      return ok(readable(bundle(origin, name, vault.version(name, version))));
    case 'PATCH secrets/name':
    case 'PATCH secrets/name/version': {
      refusals.check('update');
      const { value: _, ...properties } = bundle(origin, name, await vault.update(name, version, jsonBody(request)));
      return ok(properties);
    }
    case 'GET secrets/name/versions':
      return page(
        request,
        vault.active(name).versions.map((one) => item(origin, name, one, true)),
      );
    case 'DELETE secrets/name':
      refusals.check('delete');
      return ok(deleted(await vault.remove(name)));
    case 'GET deletedsecrets/name':
      return ok(deleted(vault.deleted(name)));
    case 'POST deletedsecrets/name/recover':
      refusals.check('recover');
      return ok(newestItem(origin, await vault.recover(name), true));
    case 'DELETE deletedsecrets/name':
      refusals.check('purge');
      await vault.purge(name);
      return { status: 204 };
    default:
      throw new VaultError(405, 'MethodNotAllowed', 'There is no such operation.');
  }
}

const ok = (body: unknown): HttpsAnswer => ({ status: 200, body });

function jsonBody(request: HttpsRequest): unknown {
  try {
    return JSON.parse(request.body);
  } catch {
    throw badParameter('The request body is not JSON.');
  }
}

/** `id` with its version, or without, as lists name the newest. */
function item(origin: string, name: string, one: SecretVersion, withVersion: boolean) {
  return {
    id: `${origin}/secrets/${name}${withVersion ? `/${one.version}` : ''}`,
    attributes: {
      ...one.attributes,
      created: one.created,
      updated: one.updated,
      recoveryLevel: 'Recoverable+Purgeable',
      recoverableDays,
    },
    ...(one.contentType === undefined ? {} : { contentType: one.contentType }),
    ...(one.tags === undefined ? {} : { tags: one.tags }),
  };
}

function newestItem(origin: string, secret: StoredSecret, withVersion = false) {
  const newest = secret.versions.at(-1);
  return newest ? item(origin, secret.name, newest, withVersion) : {};
}

function bundle(origin: string, name: string, one: SecretVersion) {
  return { value: one.value, ...item(origin, name, one, true) };
}

/** Only `enabled` closes a secret: Key Vault gives out expired and not yet valid ones too ("About secrets"). */
function readable<T extends { attributes: { enabled: boolean } }>(found: T): T {
  if (found.attributes.enabled) return found;
  throw new VaultError(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled');
}

function deletion(origin: string, secret: StoredSecret) {
  const deletedDate = secret.deletedAt ?? 0;
  return {
    recoveryId: `${origin}/deletedsecrets/${secret.name}`,
    deletedDate,
    scheduledPurgeDate: deletedDate + recoverableDays * 86_400,
  };
}

/** A page of a list; `nextLink` carries on at an offset. */
function page(request: HttpsRequest, items: readonly unknown[]): HttpsAnswer {
  const wanted = Number(request.query.get('maxresults') ?? maxPage);
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > maxPage) throw badParameter('maxresults is 1 to 25.');
  const start = Number(request.query.get('$skiptoken') ?? 0);
  const end = start + wanted;
  const next = new URLSearchParams(request.query);
  next.set('$skiptoken', String(end));
  const nextLink = end < items.length ? `${request.origin}/${request.path.join('/')}?${next}` : null;
  return ok({ value: items.slice(start, end), nextLink });
}
