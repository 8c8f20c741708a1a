import { describe, expect, it } from 'vitest';
import { credentialScrub, secretScrub } from './redaction.ts';
import type { Credentials } from './sign-in/credentials.ts';
import { saslExchange } from './sign-in/sasl.ts';

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');
const percent = (text: string) =>
  [...Buffer.from(text)].map((octet) => `%${octet.toString(16).padStart(2, '0')}`).join('');
const quotedPrintable = (text: string) => percent(text).toUpperCase().replaceAll('%', '=');
const unicode = (text: string) =>
  [...text].map((each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
const html = (text: string) => [...text].map((each) => `&#${each.codePointAt(0)};`).join('');
const imapQuoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`;

const password = (value: string): Credentials & { kind: 'password' } => ({
  kind: 'password',
  user: 'corpus',
  password: value,
});
const token: Credentials & { kind: 'token' } = {
  kind: 'token',
  user: 'test@contoso.onmicrosoft.com',
  token: 'EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA',
  kept: false,
  refused: () => {},
};

/** Every way in which servers were seen, or may be expected, to give back what they were sent. */
const forms: Readonly<Record<string, (secret: string) => string>> = {
  raw: (secret) => secret,
  'in capitals': (secret) => secret.toUpperCase(),
  'IMAP-quoted': imapQuoted,
  'JSON-escaped': (secret) => JSON.stringify(secret),
  'JSON within JSON': (secret) => JSON.stringify(JSON.stringify(secret)),
  'IMAP-quoted within JSON': (secret) => JSON.stringify(imapQuoted(secret)),
  'as \\u escapes': unicode,
  'URL-encoded': encodeURIComponent,
  'URL-encoded, every octet': percent,
  'URL-encoded twice': (secret) => encodeURIComponent(encodeURIComponent(secret)),
  'as a form': (secret) => new URLSearchParams({ secret }).toString(),
  'quoted-printable': quotedPrintable,
  'in HTML': html,
  'in hexadecimal digits': (secret) => Buffer.from(secret).toString('hex'),
  'in base64': base64,
  'in base64 without padding': (secret) => base64(secret).replace(/=+$/, ''),
  'in base64url': (secret) => Buffer.from(secret).toString('base64url'),
  'in base64 that was made small': (secret) => base64(secret).toLowerCase(),
  'in base64, behind one octet': (secret) => base64(`x${secret}`),
  'in base64, behind two octets and before others': (secret) => base64(`xy${secret}!!`),
  'as AUTH PLAIN': (secret) => base64(`\0corpus\0${secret}`),
  'as AUTH PLAIN with an authorization identity': (secret) => base64(`corpus\0corpus\0${secret}`),
  'as AUTH XOAUTH2': (secret) => base64(`user=corpus\u0001auth=Bearer ${secret}\u0001\u0001`),
  'octets read as Latin-1': (secret) => Buffer.from(secret).toString('latin1'),
};

const secrets: Readonly<Record<string, string>> = {
  plain: 'swordfish',
  'with what IMAP and JSON escape': 'a"b\\c"d\\\\e',
  'with what URLs and HTML escape': 'p&s<w>o=r+d %41/_-?',
  'beyond ASCII': 'Pässwörd-€-ß',
  long: 'EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA'.repeat(40),
};

describe('credentialScrub', () => {
  const cases = Object.entries(secrets).flatMap(([kind, secret]) =>
    Object.entries(forms).map(([form, write]) => [kind, form, write(secret), secret] as const),
  );

  it.each(cases)('finds a secret %s, %s', (_, __, written, secret) => {
    const shown = secretScrub(secret)(`you sent ${written}, which is wrong`);
    expect(shown).toMatch(/^you sent ["\\]*(secret=)?\*\*\*["\\]*=*, which is wrong$/);
  });

  it('finds a token in its exchange, in part, and one part of it alone', () => {
    const scrub = credentialScrub(token);
    const { initial = '' } = saslExchange('XOAUTH2', token);
    expect(scrub(`no ${initial}`)).toBe('no ***');
    expect(scrub(`no ${initial.slice(0, 90)}`)).not.toContain(base64('EwBAAl3BAAUFFp').slice(2, 12));
    expect(scrub(`Bearer ${token.token}?`)).toBe('Bearer ***?');
    expect(scrub(`code ${token.token.slice(5, 17)}`)).toBe('code ***');
  });

  it('leaves other words alone', () => {
    const text = 'NO [AUTHENTICATIONFAILED] Authentication failed: 100%25 \\o/ a+b &amp; =3D';
    for (const secret of Object.values(secrets)) expect(secretScrub(secret)(text)).toBe(text);
    expect(credentialScrub(password(''))('as it is')).toBe('as it is');
    expect(credentialScrub({ kind: 'none' })('as it is')).toBe('as it is');
  });

  it('looks at a bounded part of a text, whatever it is made of', () => {
    for (const text of ['\\', '%41', '=41', '&amp;', 'swordfis', 'a']) {
      const shown = secretScrub('swordfish\\\\\\\\\\')(text.repeat(1_000_000));
      expect(shown.length).toBeLessThanOrEqual(65_536);
    }
  });
});
