import type { GraphCredential } from '../../accounts/model.ts';
import { CredentialsError } from '../sign-in/credentials-error.ts';
import { type SignIn, type SignInOptions, signInFor } from '../sign-in/entra/sign-in.ts';
import type { ReadSecret } from '../sign-in/secret-value.ts';
import type { GraphPlace } from './cloud.ts';
import { abortedError, GraphError } from './graph-error.ts';

/** Where Graph's tokens come from. One per credential and process, shared by all who use it. */
export interface GraphSignIn {
  /** A token that is good for a while. Throws GraphError, origin `signIn`, `secret` or `aborted`. */
  token(signal: AbortSignal): Promise<string>;
  /** Graph refused this token: the next call gets a new one. */
  refused(token: string): void;
}

/** The same sign-in is the same object here too: clients are kept as long as it is. */
const known = new WeakMap<SignIn, GraphSignIn>();

/** The process's sign-in for a credential, with its failures as GraphError. Throws GraphError. */
export async function graphSignIn(
  config: GraphCredential,
  place: GraphPlace,
  readSecret: ReadSecret,
  options: SignInOptions,
): Promise<GraphSignIn> {
  const signIn = await withGraphErrors(options.signal, signInFor(config, place, readSecret, options));
  const before = known.get(signIn);
  if (before) return before;
  const made: GraphSignIn = {
    token: async (signal) => (await withGraphErrors(signal, signIn.token(signal))).value,
    refused: (token) => signIn.refused(token),
  };
  known.set(signIn, made);
  return made;
}

/** As `work`, with failures of credentials as GraphError. */
async function withGraphErrors<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof CredentialsError)) throw signal.aborted ? abortedError(signal) : error;
    const { kind, message, code, status, hint, retryAfterMs } = error;
    throw new GraphError(kind === 'secret' ? 'secret' : 'signIn', message, {
      code,
      status,
      hint,
      retryAfterMs,
      mayHaveArrived: false,
      temporary: kind === 'temporary',
    });
  }
}
