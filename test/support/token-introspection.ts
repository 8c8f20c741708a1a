import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Entra } from '../../local/entra/entra.ts';
import { parseJwt } from '../../local/entra/jwt.ts';

/** What Exchange Online's tokens are for. */
export const exchangeAudience = 'https://outlook.office365.com';

/** Whether a token is one of this authority's, for Exchange, and still good. */
export async function isExchangeToken(entra: Entra, token: string, audience = exchangeAudience): Promise<boolean> {
  const parsed = parseJwt(token);
  const key = parsed && entra.key(parsed.header.kid ?? '');
  if (!parsed || !key || !(await parsed.isSignedBy(key))) return false;
  const { aud, exp = 0 } = parsed.claims;
  return aud === audience && exp * 1000 > Date.now();
}

export interface TokenIntrospection {
  /** For Dovecot's `introspection_url`; the token goes along as a bearer. */
  readonly url: string;
  /** Tokens asked about, oldest first. */
  readonly asked: readonly string[];
  /** Refuses this token from now on, as when an administrator revokes it. */
  revoke(token: string): void;
  stop(): Promise<void>;
}

/** RFC 7662 over plain http: answers a mail server which tokens are good, and that they are for the mailbox of `user`. */
export async function startTokenIntrospection(entra: Entra, user: string): Promise<TokenIntrospection> {
  const asked: string[] = [];
  const revoked = new Set<string>();
  const server = createServer(async (request, response) => {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    asked.push(token);
    const active = !revoked.has(token) && (await isExchangeToken(entra, token));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(active ? { active, username: user } : { active }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/introspect`,
    asked,
    revoke: (token) => revoked.add(token),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
