import { exchangeTokenHint } from '../sign-in/entra/exchange-hints.ts';
import { isExchangeHost } from '../sign-in/entra/place.ts';
import type { SmtpReply } from './reply.ts';

/** How a sign-in was tried. */
export interface SignInAttempt {
  readonly host: string;
  readonly by: 'password' | 'token';
}

const passwordHint =
  'The server refuses to sign in. Check user and secret of the account, and that SMTP sign-in is switched on for it.';
const smtpAuthOff =
  'SMTP sign-in is switched off for the mailbox or the whole organization. Switch it on for the mailbox: Set-CASMailbox -SmtpClientAuthenticationDisabled $false.';
const passwordsOff = 'Exchange Online takes no passwords for SMTP here. Use auth of type oauth2.';

/** What a person can do about a refused AUTH. Knows the wordings of Exchange Online (Microsoft Learn, aka.ms/smtp_auth_disabled). */
export function authHint({ status, text }: SmtpReply, { host, by }: SignInAttempt): string {
  if (/SmtpClientAuthentication is disabled/i.test(text)) return smtpAuthOff;
  if (status === '5.7.30' || /basic auth\w* is (disabled|not supported)/i.test(text)) return passwordsOff;
  if (status === '5.7.139') {
    return `${by === 'token' ? 'Exchange Online refuses the sign-in' : 'Exchange Online refuses user and password'} by a policy of the organization: SMTP sign-in, passwords or this client are switched off for the mailbox. Its words say which.`;
  }
  if (by === 'token') return exchangeTokenHint('SMTP');
  return isExchangeHost(host) ? `${passwordHint} Exchange Online may take oauth2 only.` : passwordHint;
}
