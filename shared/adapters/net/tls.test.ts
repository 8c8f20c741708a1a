import { rootCertificates } from 'node:tls';
import { expect, it } from 'vitest';
import { tlsSchema } from '../../accounts/model.ts';
import { tlsOptions } from './tls.ts';

const options = (host: string, fields: object) => {
  const answer = tlsOptions(host, { ...tlsSchema.parse({}), ...fields });
  return answer.ok ? answer.options : answer.reason;
};

it('checks chain and name unless trust says otherwise', () => {
  expect(options('mail.example.com', {})).toMatchObject({ rejectUnauthorized: true });
  expect(options('mail.example.com', { trust: '*' })).toMatchObject({ rejectUnauthorized: false });
  expect(options('mail.example.com', { trust: ['a.example', 'mail.example.com'] })).toMatchObject({
    rejectUnauthorized: false,
  });
});

it('refuses a host that a given list does not name, whatever its letters', () => {
  expect(options('mail.example.com', { trust: ['example.com'] })).toContain('mail.example.com');
  expect(options('mail.example.com', { trust: ['mail.example.com.evil.example'] })).toContain('tls.trust');
  expect(options('MAIL.example.com', { trust: ['mail.Example.com.'] })).toMatchObject({ rejectUnauthorized: false });
});

it('names the server by SNI, but never an IP address', () => {
  expect(options('mail.example.com.', {})).toMatchObject({ servername: 'mail.example.com' });
  expect(options('192.0.2.1', {})).not.toHaveProperty('servername');
  expect(options('2001:db8::1', {})).not.toHaveProperty('servername');
});

it('refuses a bundle without a readable certificate, which would silently trust nobody', () => {
  const [pem = ''] = rootCertificates;
  expect(options('mail.example.com', { ca: `a comment\n${pem}\n${pem}` })).toMatchObject({ rejectUnauthorized: true });
  for (const ca of ['', 'nonsense', pem.replace(/[A-Z]{4}/g, 'AAAA'), `${pem}\n${pem.replace('MII', 'XXX')}`]) {
    expect(options('mail.example.com', { ca })).toContain('tls.ca');
  }
});

it('makes one context for the same settings', () => {
  const context = (fields: object) => {
    const answer = options('mail.example.com', fields);
    return typeof answer === 'string' ? answer : answer.secureContext;
  };
  expect(context({})).toBeDefined();
  expect(context({})).toBe(context({}));
  expect(context({ minVersion: 'TLSv1.3' })).not.toBe(context({}));
});

it('blames tls.ca for nothing else', () => {
  const answer = tlsOptions('mail.example.com', { ...tlsSchema.parse({}), minVersion: JSON.parse('"TLSv9"') });
  expect(answer).toMatchObject({ ok: false, reason: expect.stringContaining('tls.minVersion') });
  expect(answer).not.toMatchObject({ reason: expect.stringContaining('tls.ca') });
});
