import { createHash } from 'node:crypto';
import type { AccessToken, TokenCredential } from '@azure/identity';
import type { GraphCredential } from '../../../accounts/model.ts';
import { LruMap } from '../../../platform/lru-map.ts';
import { retryAfterMs } from '../../net/retry-after.ts';
import { CredentialsError } from '../credentials-error.ts';
import { type ReadSecret, secretValue } from '../secret-value.ts';
import { certificatePem } from './certificate.ts';
import type { TokenPlace } from './place.ts';
import { aadstsIn, signInError, type TokenTrace, temporary } from './sign-in-errors.ts';

/** An access token. */
export interface Token {
  readonly value: string;
  /** It was there already; what it was refused for may be its age. */
  readonly kept: boolean;
}

/** Where tokens come from. One per credential and process, shared by all who use it. */
export interface SignIn {
  /** A token that is good for a while. Throws CredentialsError, or the signal's reason. */
  token(signal: AbortSignal): Promise<Token>;
  /** The server refused this token: the next call gets a new one. */
  refused(token: string): void;
}

/** A token endpoint that takes longer is as good as silent. */
const defaultTokenLimitMs = 30_000;

/** Credentials kept per process; beyond it the one used longest ago is forgotten. */
const maxKept = 200;

/** A token is renewed before its last five minutes, or the last fifth of a short life. */
const renewBeforeMs = 300_000;
const renewShare = 0.2;

const kept = new LruMap<string, SignIn>({ max: maxKept });

/** How long a sign-in may take. */
export interface SignInOptions {
  readonly signal: AbortSignal;
  /** Longest silence of the token endpoint, in ms. */
  readonly limitMs?: number | undefined;
}

/**
 * The process's sign-in for a credential. The secret's value is part of what it is found by, so that a rotated secret
 * is used as soon as it is read. Throws CredentialsError `secret`, or the signal's reason.
 */
export async function signInFor(
  config: GraphCredential,
  place: TokenPlace,
  readSecret: ReadSecret,
  options: SignInOptions,
): Promise<SignIn> {
  const secret =
    config.type === 'managedIdentity'
      ? ''
      : // A value that was pasted often ends in a line break.
        (await secretValue(config.secret, config.type, readSecret, options.signal)).trim();
  const { authorityHost, scope } = place;
  const limitMs = options.limitMs ?? defaultTokenLimitMs;
  const key = createHash('sha256')
    .update(JSON.stringify([config, authorityHost, scope, secret, limitMs]))
    .digest('base64');
  return kept.getOrCreate(key, () => new KeptSignIn(place, limitMs, () => createCredential(config, place, secret)));
}

type MakeCredential = () => Promise<(policies: readonly TracePolicy[]) => TokenCredential>;

/** As @azure/core-rest-pipeline has it; that package is only the identity library's own. */
type TracePolicy = NonNullable<
  NonNullable<ConstructorParameters<typeof import('@azure/identity').ClientSecretCredential>[3]>['additionalPolicies']
>[number];

/** No retries inside: the queue and the next run are who tries again. */
const noRetries = { maxRetries: 0 };

async function createCredential(
  config: GraphCredential,
  { authorityHost, privateAuthority }: TokenPlace,
  secret: string,
): ReturnType<MakeCredential> {
  const { ClientCertificateCredential, ClientSecretCredential, ManagedIdentityCredential } = await import(
    '@azure/identity'
  );
  const certificate = config.type === 'certificate' ? await certificatePem(secret) : '';
  return (policies) => {
    const shared = { retryOptions: noRetries, additionalPolicies: [...policies] };
    const options = { ...shared, authorityHost, disableInstanceDiscovery: privateAuthority };
    switch (config.type) {
      case 'clientSecret':
        return new ClientSecretCredential(config.tenantId, config.clientId, secret, options);
      case 'certificate':
        return new ClientCertificateCredential(config.tenantId, config.clientId, { certificate }, options);
      case 'managedIdentity':
        return new ManagedIdentityCredential({
          ...shared,
          ...(config.clientId === undefined ? {} : { clientId: config.clientId }),
        });
    }
  };
}

class KeptSignIn implements SignIn {
  readonly #place: TokenPlace;
  readonly #limitMs: number;
  readonly #make: MakeCredential;
  #credential: Promise<TokenCredential> | undefined;
  #trace: TokenTrace = {};
  #current: { readonly token: AccessToken; readonly renewAt: number } | undefined;
  #asking: Promise<AccessToken> | undefined;

  constructor(place: TokenPlace, limitMs: number, make: MakeCredential) {
    this.#place = place;
    this.#limitMs = limitMs;
    this.#make = make;
  }

  async token(signal: AbortSignal): Promise<Token> {
    signal.throwIfAborted();
    if (this.#current && Date.now() < this.#current.renewAt) return { value: this.#current.token.token, kept: true };
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return { value: (await this.#within(this.#asking, signal)).token, kept: false };
  }

  refused(token: string): void {
    if (this.#current?.token.token !== token) return;
    // The library would give the same token again.
    this.#current = undefined;
    this.#credential = undefined;
  }

  async #ask(): Promise<AccessToken> {
    const trace: TokenTrace = {};
    this.#trace = trace;
    try {
      this.#credential ??= this.#make().then((create) => create([this.#policy()]));
      const credential = await this.#credential;
      const token = await credential.getToken(this.#place.scope);
      if (!token) throw new Error('no token');
      const now = Date.now();
      const life = token.expiresOnTimestamp - now;
      this.#current = { token, renewAt: token.expiresOnTimestamp - Math.min(renewBeforeMs, life * renewShare) };
      return token;
    } catch (error) {
      this.#credential = undefined;
      const { CredentialUnavailableError } = await import('@azure/identity');
      trace.noIdentity = error instanceof CredentialUnavailableError;
      throw error instanceof CredentialsError ? error : signInError(error, trace, this.#place.resource);
    }
  }

  /** Notes what became of each request, and ends those that take too long. */
  #policy(): TracePolicy {
    return {
      position: 'perRetry',
      policy: {
        name: 'mailroom-trace',
        sendRequest: async (request, next) => {
          request.timeout = this.#limitMs;
          try {
            const response = await next(request);
            this.#trace.status = response.status;
            this.#trace.aadsts = response.status < 400 ? undefined : aadstsIn(response.bodyAsText);
            this.#trace.retryAfterMs = retryAfterMs(response.headers.get('retry-after'), Date.now());
            return response;
          } catch (error) {
            // The library's own class is not exported.
            const timedOut = error instanceof Error && error.name === 'AbortError';
            this.#trace.failure = timedOut ? { code: 'ETIMEDOUT' } : error;
            throw error;
          }
        },
      },
    };
  }

  /** Nobody waits longer than the limit, or beyond the caller's signal; what is under way goes on for the others. */
  #within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const silence = () =>
        reject(temporary('the token endpoint did not answer in time', 'ETIMEDOUT', 'Entra ID is slow. It may pass.'));
      // A little later than the request's own limit, which knows more.
      const timer = setTimeout(silence, this.#limitMs * 2 + 1_000);
      const onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      work.then(resolve, reject).finally(() => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      });
    });
  }
}
