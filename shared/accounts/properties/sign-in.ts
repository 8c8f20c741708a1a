import { appCredential, appProperties } from './app-credential.ts';
import type { NewSecret } from './new-secrets.ts';
import type { PropertyReader } from './property-reader.ts';
import { isSmtp, nameOf, type ServerEndpoint } from './server-endpoint.ts';

/** What signing in depends on beside the endpoint; `secrets` is added to. */
export interface SignInContext {
  readonly account: string;
  /** The app of `client.*` belongs to the other endpoint: this one uses it only if it names XOAUTH2. */
  readonly appIsTaken: boolean;
  readonly secrets: NewSecret[];
  readonly hasSecret: (name: string) => Promise<boolean>;
}

const supported = ['PLAIN', 'LOGIN', 'CRAM-MD5'] as const;

interface Mechanisms {
  readonly listed: readonly string[];
  readonly xoauth2: boolean;
}

/**
 * How an endpoint signs in: `auth` of the account. Stores always do. SMTP does with `auth=true`, or where it has a user and
 * a password (SMTPTransport.protocolConnect); not with `auth=false`.
 */
export async function mapSignIn(
  reader: PropertyReader,
  endpoint: ServerEndpoint,
  context: SignInContext,
): Promise<unknown> {
  const authName = nameOf(endpoint, 'auth');
  const userName = nameOf(endpoint, 'user');
  const passwordName = nameOf(endpoint, 'password');
  const mechanismsName = nameOf(endpoint, 'auth.mechanisms');
  const auth = reader.boolean(authName);
  if (isSmtp(endpoint) && auth === false) {
    reader.used(authName, 'auth.type is none: nobody signs in');
    for (const name of [userName, mechanismsName]) reader.ignored(name, `${authName} is false: nobody signs in`);
    reader.ignored(passwordName, `${authName} is false: nobody signs in, and it is not kept`);
    return { type: 'none' };
  }
  if (!isSmtp(endpoint) && auth === false)
    reader.ignored(authName, `${endpoint.prefix} always signs in, as in Jakarta Mail`);
  else reader.used(authName, `the ${endpoint.side} signs in`);

  const mechanisms = readMechanisms(reader, mechanismsName);
  if (signsInAsApp(reader, endpoint, context.appIsTaken))
    return asApp(reader, endpoint, { userName, passwordName, mechanismsName }, context);

  const user = reader.text(userName) ?? reader.text('mail.user');
  const userSource = reader.has(userName) ? userName : 'mail.user';
  const password = reader.secret(passwordName);
  const secret = `${context.account}-${endpoint.prefix}-password`;
  if (isSmtp(endpoint) && auth !== true && password === undefined && !(user && (await context.hasSecret(secret)))) {
    const reason = `there is no password, and ${authName} is not true: nobody signs in, as in Jakarta Mail`;
    for (const name of [userSource, mechanismsName]) reader.ignored(name, reason);
    return { type: 'none' };
  }
  if (user === undefined)
    reader.wrong(
      password === undefined ? userName : passwordName,
      password === undefined ? `is required: the ${endpoint.side} signs in` : `needs a user: ${userName} is missing`,
      `/${endpoint.side}/auth/user`,
    );
  const unasked =
    isSmtp(endpoint) && auth === undefined ? `; it signs in though ${authName} is not given, as in Jakarta Mail` : '';
  reader.used(userSource, `auth.user of the ${endpoint.side}${unasked}`);
  reader.origin(`/${endpoint.side}/auth/user`, userSource);
  if (password !== undefined) context.secrets.push({ name: secret, value: password, property: passwordName });
  reader.used(passwordName, `kept in Key Vault as ${secret}`);
  const listed = mechanisms && listedOnly(reader, mechanismsName, mechanisms);
  return {
    type: 'password',
    ...(user === undefined ? {} : { user }),
    secret,
    ...(listed && listed.length > 0 ? { mechanisms: listed } : {}),
  };
}

function readMechanisms(reader: PropertyReader, name: string): Mechanisms | undefined {
  const tokens = reader
    .text(name)
    ?.toUpperCase()
    .split(/[\s,]+/);
  if (tokens === undefined) return undefined;
  return {
    // In the order given: that is the order in which they are tried.
    listed: [...new Set(tokens)].filter((token) => supported.some((each) => each === token)),
    xoauth2: tokens.includes('XOAUTH2'),
  };
}

function listedOnly(reader: PropertyReader, name: string, { listed, xoauth2 }: Mechanisms): readonly string[] {
  const hint = xoauth2 ? 'XOAUTH2 needs client.id, tenant.id and client.secret' : '';
  if (listed.length === 0) reader.wrong(name, hint || `names none of ${supported.join(', ')} and XOAUTH2`);
  else
    reader.used(name, `auth.mechanisms is ${listed.join(', ')}; others are left out${hint === '' ? '' : `: ${hint}`}`);
  return listed;
}

/**
 * Whether an endpoint signs in as the app of `client.*`: where it names XOAUTH2, or has no password and the app is free. Of
 * smtp something must say that it signs in at all.
 */
export function signsInAsApp(reader: PropertyReader, endpoint: ServerEndpoint, appIsTaken: boolean): boolean {
  if (!appProperties.some((name) => reader.has(name))) return false;
  const auth = reader.text(nameOf(endpoint, 'auth'))?.toLowerCase();
  if (isSmtp(endpoint) && auth === 'false') return false;
  const mechanisms = readMechanisms(reader, nameOf(endpoint, 'auth.mechanisms'));
  if (mechanisms) return mechanisms.xoauth2;
  const asked = !isSmtp(endpoint) || auth === 'true' || reader.has(nameOf(endpoint, 'user'));
  return (
    !appIsTaken &&
    !reader.has(nameOf(endpoint, 'password')) &&
    (asked || (reader.has('client.id') && reader.has('user.id')))
  );
}

function asApp(
  reader: PropertyReader,
  endpoint: ServerEndpoint,
  names: { readonly userName: string; readonly passwordName: string; readonly mechanismsName: string },
  context: SignInContext,
): unknown {
  const { userName, passwordName, mechanismsName } = names;
  const source = [userName, 'user.id', 'mail.user'].find((name) => reader.has(name)) ?? 'user.id';
  const user = reader.text(source);
  if (user === undefined)
    reader.wrong(source, `is required, or ${userName}: the mailbox`, `/${endpoint.side}/auth/user`);
  reader.used(source, `auth.user of the ${endpoint.side}`);
  reader.origin(`/${endpoint.side}/auth/user`, source);
  reader.ignored(passwordName, 'with OAuth 2 the app fetches its own access tokens; it is not kept');
  reader.used(mechanismsName, 'auth.type is oauth2: XOAUTH2 as the app of client.id');
  return {
    type: 'oauth2',
    ...(user === undefined ? {} : { user }),
    credential: appCredential(reader, context.account, `/${endpoint.side}/auth/credential`, context.secrets),
  };
}
