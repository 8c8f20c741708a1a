import { appCredential, appProperties } from './app-credential.ts';
import type { NewSecret } from './new-secrets.ts';
import type { PropertySheet } from './property-sheet.ts';
import { isSmtp, nameOf, type ServerEnd } from './server-end.ts';

export interface SignInContext {
  readonly account: string;
  /** The app of `client.*` is spoken for by another end, so that this one takes it only where it asks for XOAUTH2. */
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
 * How an end signs in: `auth` of the account. Stores always do. SMTP does with `auth=true`, or where it has a user and
 * a password (SMTPTransport.protocolConnect); not with `auth=false`.
 */
export async function mapSignIn(sheet: PropertySheet, end: ServerEnd, context: SignInContext): Promise<unknown> {
  const authName = nameOf(end, 'auth');
  const userName = nameOf(end, 'user');
  const passwordName = nameOf(end, 'password');
  const mechanismsName = nameOf(end, 'auth.mechanisms');
  const auth = sheet.boolean(authName);
  if (isSmtp(end) && auth === false) {
    sheet.used(authName, 'auth.type is none: nobody signs in');
    for (const name of [userName, mechanismsName]) sheet.ignored(name, `${authName} is false: nobody signs in`);
    sheet.ignored(passwordName, `${authName} is false: nobody signs in, and it is not kept`);
    return { type: 'none' };
  }
  if (!isSmtp(end) && auth === false) sheet.ignored(authName, `${end.prefix} always signs in, as in Jakarta Mail`);
  else sheet.used(authName, `the ${end.side} signs in`);

  const mechanisms = readMechanisms(sheet, mechanismsName);
  if (signsInAsApp(sheet, end, context.appIsTaken))
    return asApp(sheet, end, { userName, passwordName, mechanismsName }, context);

  const user = sheet.text(userName) ?? sheet.text('mail.user');
  const userSource = sheet.has(userName) ? userName : 'mail.user';
  const password = sheet.secret(passwordName);
  const secret = `${context.account}-${end.prefix}-password`;
  if (isSmtp(end) && auth !== true && password === undefined && !(user && (await context.hasSecret(secret)))) {
    const reason = `there is no password, and ${authName} is not true: nobody signs in, as in Jakarta Mail`;
    for (const name of [userSource, mechanismsName]) sheet.ignored(name, reason);
    return { type: 'none' };
  }
  if (user === undefined)
    sheet.wrong(
      password === undefined ? userName : passwordName,
      password === undefined ? `is required: the ${end.side} signs in` : `needs a user: ${userName} is missing`,
      `/${end.side}/auth/user`,
    );
  const unasked =
    isSmtp(end) && auth === undefined ? `; it signs in though ${authName} is not given, as in Jakarta Mail` : '';
  sheet.used(userSource, `auth.user of the ${end.side}${unasked}`);
  sheet.origin(`/${end.side}/auth/user`, userSource);
  if (password !== undefined) context.secrets.push({ name: secret, value: password, property: passwordName });
  sheet.used(passwordName, `kept in Key Vault as ${secret}`);
  const listed = mechanisms && listedOnly(sheet, mechanismsName, mechanisms);
  return {
    type: 'password',
    ...(user === undefined ? {} : { user }),
    secret,
    ...(listed && listed.length > 0 ? { mechanisms: listed } : {}),
  };
}

function readMechanisms(sheet: PropertySheet, name: string): Mechanisms | undefined {
  const tokens = sheet
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

function listedOnly(sheet: PropertySheet, name: string, { listed, xoauth2 }: Mechanisms): readonly string[] {
  const hint = xoauth2 ? 'XOAUTH2 needs client.id, tenant.id and client.secret' : '';
  if (listed.length === 0) sheet.wrong(name, hint || `names none of ${supported.join(', ')} and XOAUTH2`);
  else
    sheet.used(name, `auth.mechanisms is ${listed.join(', ')}; others are left out${hint === '' ? '' : `: ${hint}`}`);
  return listed;
}

/**
 * Whether an end signs in as the app of `client.*`: where it names XOAUTH2, or has no password and the app is free. Of
 * smtp something must say that it signs in at all.
 */
export function signsInAsApp(sheet: PropertySheet, end: ServerEnd, appIsTaken: boolean): boolean {
  if (!appProperties.some((name) => sheet.has(name))) return false;
  const auth = sheet.text(nameOf(end, 'auth'))?.toLowerCase();
  if (isSmtp(end) && auth === 'false') return false;
  const mechanisms = readMechanisms(sheet, nameOf(end, 'auth.mechanisms'));
  if (mechanisms) return mechanisms.xoauth2;
  const asked = !isSmtp(end) || auth === 'true' || sheet.has(nameOf(end, 'user'));
  return (
    !appIsTaken && !sheet.has(nameOf(end, 'password')) && (asked || (sheet.has('client.id') && sheet.has('user.id')))
  );
}

function asApp(
  sheet: PropertySheet,
  end: ServerEnd,
  names: { readonly userName: string; readonly passwordName: string; readonly mechanismsName: string },
  context: SignInContext,
): unknown {
  const { userName, passwordName, mechanismsName } = names;
  const source = [userName, 'user.id', 'mail.user'].find((name) => sheet.has(name)) ?? 'user.id';
  const user = sheet.text(source);
  if (user === undefined) sheet.wrong(source, `is required, or ${userName}: the mailbox`, `/${end.side}/auth/user`);
  sheet.used(source, `auth.user of the ${end.side}`);
  sheet.origin(`/${end.side}/auth/user`, source);
  sheet.ignored(passwordName, 'with OAuth 2 the app fetches its own access tokens; it is not kept');
  sheet.used(mechanismsName, 'auth.type is oauth2: XOAUTH2 as the app of client.id');
  return {
    type: 'oauth2',
    ...(user === undefined ? {} : { user }),
    credential: appCredential(sheet, context.account, `/${end.side}/auth/credential`, context.secrets),
  };
}
