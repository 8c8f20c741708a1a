import { describe, expect, it } from 'vitest';
import { authSchema } from '../../accounts/model.ts';
import type { Credentials } from './credentials.ts';
import { allowedMechanisms, saslExchange } from './sasl.ts';

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');
const text = (base: string | undefined) => (base === undefined ? undefined : Buffer.from(base, 'base64').toString());
const password = (user: string, value: string): Exclude<Credentials, { kind: 'none' }> => ({
  kind: 'password',
  user,
  password: value,
});
const token: Exclude<Credentials, { kind: 'none' }> = {
  kind: 'token',
  user: 'test@contoso.onmicrosoft.com',
  token: 'EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA',
  kept: false,
  refused: () => {},
};

describe('saslExchange', () => {
  it('PLAIN carries user and password at once (RFC 4616 section 4)', () => {
    const { initial, respond } = saslExchange('PLAIN', password('tim', 'tanstaaftanstaaf'));
    expect(text(initial)).toBe('\0tim\0tanstaaftanstaaf');
    expect(respond('')).toBeUndefined();
  });

  it('LOGIN answers two prompts, whatever they say, and no third', () => {
    const { initial, respond } = saslExchange('LOGIN', password('jürgen', 'pässword'));
    expect(initial).toBeUndefined();
    expect([respond(base64('User Name')), respond('')].map(text)).toEqual(['jürgen', 'pässword']);
    expect(respond(base64('Again?'))).toBeUndefined();
  });

  it('CRAM-MD5 answers a challenge by its digest, once (RFC 2195 section 2)', () => {
    const { initial, respond } = saslExchange('CRAM-MD5', password('tim', 'tanstaaftanstaaf'));
    expect(initial).toBeUndefined();
    expect(respond('PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+')).toBe(
      'dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw',
    );
    expect(respond('')).toBeUndefined();
  });

  it('XOAUTH2 carries user and token, and answers the description of a refusal with nothing', () => {
    const { initial, respond } = saslExchange('XOAUTH2', token);
    // The example of Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth".
    expect(initial).toBe(
      'dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ==',
    );
    expect(respond(base64('{"status":"400"}'))).toBe('');
  });
});

it('an account names its mechanisms and their order; without, all for passwords', () => {
  const auth = (fields: object) => authSchema.parse({ type: 'password', user: 'u', secret: 's', ...fields });
  expect(allowedMechanisms(auth({}))).toEqual(['PLAIN', 'LOGIN', 'CRAM-MD5']);
  expect(allowedMechanisms(auth({ mechanisms: ['CRAM-MD5', 'PLAIN'] }))).toEqual(['CRAM-MD5', 'PLAIN']);
  expect(allowedMechanisms({ type: 'none' })).toEqual([]);
});
