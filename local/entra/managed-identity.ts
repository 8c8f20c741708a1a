import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { listen } from '../listener.ts';
import type { Entra, ManagedIdentity } from './entra.ts';

export interface ManagedIdentityOptions {
  readonly entra: Pick<Entra, 'issue'>;
  readonly identities: readonly ManagedIdentity[];
  /** Absent: the system picks. */
  readonly port?: number;
}

export interface ManagedIdentityEndpoint {
  readonly port: number;
  /** The settings that App Service and Functions give to the app: IDENTITY_ENDPOINT and IDENTITY_HEADER. */
  readonly env: { readonly IDENTITY_ENDPOINT: string; readonly IDENTITY_HEADER: string };
  stop(): Promise<void>;
}

const path = '/msi/token';
const apiVersion = '2019-08-01';

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * The managed identity endpoint of App Service and Functions on 127.0.0.1 (Microsoft Learn, "How to use managed
 * identities for App Service and Azure Functions", REST endpoint reference). Plain http, as there.
 */
export async function startManagedIdentity(options: ManagedIdentityOptions): Promise<ManagedIdentityEndpoint> {
  const header = randomBytes(16).toString('hex').toUpperCase();
  const server = createServer(async (request, response) => {
    const { status, body } = await answered(request, header, options);
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
    response.end(JSON.stringify(body));
    request.resume();
  });
  const { port, stop } = await listen(server, options.port ?? 0);
  return {
    port,
    env: { IDENTITY_ENDPOINT: `http://127.0.0.1:${port}${path}`, IDENTITY_HEADER: header },
    stop,
  };
}

async function answered(request: IncomingMessage, header: string, options: ManagedIdentityOptions): Promise<Answer> {
  const url = URL.parse(request.url ?? '/', 'http://127.0.0.1');
  if (url?.pathname.replace(/\/$/, '') !== path) return refusal(404, 'There is no such address.');
  if (request.method !== 'GET') return refusal(405, 'Only GET is understood.');
  const given = request.headers['x-identity-header'];
  // It keeps a page that a server-side request forgery can reach from getting tokens.
  if (typeof given !== 'string' || !sameText(given, header)) {
    return refusal(401, 'The X-IDENTITY-HEADER is missing or wrong.');
  }
  if (url.searchParams.get('api-version') !== apiVersion) {
    return refusal(400, `The api-version must be ${apiVersion}.`);
  }
  const resource = url.searchParams.get('resource');
  if (!resource) return refusal(400, 'The resource is missing.');
  const clientId = url.searchParams.get('client_id');
  const identity = options.identities.find((one) =>
    clientId === null ? one.systemAssigned === true : one.clientId.toLowerCase() === clientId.toLowerCase(),
  );
  if (!identity) return refusal(400, 'No managed identity was found for the given client id.');
  const { token, expiresOn } = await options.entra.issue(identity, resource);
  return {
    status: 200,
    body: {
      access_token: token,
      expires_on: String(expiresOn),
      resource,
      token_type: 'Bearer',
      client_id: identity.clientId,
    },
  };
}

function refusal(statusCode: number, message: string): Answer {
  return { status: statusCode, body: { statusCode, message, correlationId: randomUUID() } };
}

function sameText(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
