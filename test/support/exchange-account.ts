import { randomUUID } from 'node:crypto';
import type { Entra } from '../../local/entra/entra.ts';
import type { CredentialsContext } from '../../shared/adapters/sign-in/credentials.ts';
import { onThisMachine } from './on-this-machine.ts';
import { startTestEntra, testClient, testSecret, testTenant } from './scripted-graph.ts';

/** An account that signs in by XOAUTH2, with the Entra stand-in that makes its tokens. */
export interface ExchangeAccount {
  readonly entra: Entra;
  /** `auth` of the account; every call names a secret of its own, and so a credential and a token of its own. */
  auth(user: string): Readonly<Record<string, unknown>>;
  readonly context: CredentialsContext;
}

/** The caller stops `entra`, and has `trustTestServers` called. */
export async function exchangeAccount(): Promise<ExchangeAccount> {
  const entra = await startTestEntra();
  return {
    entra,
    auth: (user) => ({
      type: 'oauth2',
      user,
      credential: {
        type: 'clientSecret',
        tenantId: testTenant,
        clientId: testClient,
        secret: `corpus-${randomUUID()}`,
      },
    }),
    context: { secret: async () => testSecret, ...onThisMachine, overrides: { authorityHost: entra.authorityHost } },
  };
}
