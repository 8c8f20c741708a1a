import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { principal } from './principal.ts';

/** App settings that the platform gives an app whose sign-in is on. */
export const signInOn = { WEBSITE_AUTH_ENABLED: 'True', WEBSITE_INSTANCE_ID: 'one' } as const;

/** What App Service puts in front of such an app (Microsoft: "Authentication and authorization in Azure App Service"). */
export interface EasyAuth {
  readonly url: string;
  /** App roles of whoever signs in next. */
  roles: readonly string[];
  /** Ends all sign-ins, as time does. */
  forgetAll(): void;
  stop(): Promise<void>;
}

/** Paths that infra/modules/function-app.bicep leaves open, as far as a browser asks for them. */
const open = /^\/api\/(?:health|openapi\.json|docs(?:\/.*)?|console(?:\/.*)?)$/;
const cookieName = 'AppServiceAuthSession';

/** Starts a sign-in in front of the app at `target`; callers who are not signed in get 401, as the Bicep has it. */
export async function startEasyAuth(target: string): Promise<EasyAuth> {
  const sessions = new Map<string, readonly string[]>();
  let made = 0;
  const auth = { roles: [] as readonly string[] };
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://front');
    const session = new RegExp(`${cookieName}=(\\w+)`).exec(request.headers.cookie ?? '')?.[1] ?? '';
    if (pathname === '/.auth/login/aad') {
      made += 1;
      sessions.set(`s${made}`, auth.roles);
      return lead(response, searchParams.get('post_login_redirect_uri'), `s${made}`);
    }
    if (pathname === '/.auth/logout') {
      sessions.delete(session);
      return lead(response, searchParams.get('post_logout_redirect_uri'), 'none');
    }
    const roles = sessions.get(session);
    if (!roles && !open.test(pathname))
      return response.writeHead(401, { 'www-authenticate': 'Bearer realm="mailroom"' }).end();
    return passOn(request, response, target, roles);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(auth, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    forgetAll: () => sessions.clear(),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

function lead(response: ServerResponse, to: string | null, session: string): void {
  response.writeHead(302, {
    location: to ?? '/',
    'set-cookie': `${cookieName}=${session}; Path=/; HttpOnly; SameSite=Lax`,
  });
  response.end();
}

/** Whatever a caller says of itself is taken away first. */
function passOn(
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
  roles: readonly string[] | undefined,
): void {
  const { 'x-ms-client-principal': _, cookie: __, ...headers } = request.headers;
  const onward = httpRequest(
    target + request.url,
    { method: request.method, headers: { ...headers, ...(roles ? principal(...roles) : {}) } },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}
