import { describe, expect, it } from 'vitest';
import { knownNames } from './known-properties.ts';
import { editDistance, suggestProperty } from './suggestions.ts';

describe('editDistance', () => {
  it.each([
    ['host', 'host', 0],
    ['hots', 'host', 1],
    ['hos', 'host', 1],
    ['hosts', 'host', 1],
    ['hust', 'host', 1],
    ['ohts', 'host', 2],
    ['', 'ab', 2],
    ['abc', 'xyz', 3],
    ['a', 'abcdef', 3],
  ])('%s, %s: %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe('suggestProperty', () => {
  it.each([
    ['mail.smtp.hots', 'mail.smtp.host'],
    ['mail.smtp.starttls.enabled', 'mail.smtp.starttls.enable'],
    ['mail.smtp.StartTLS.Enable', 'mail.smtp.starttls.enable'],
    ['mail.smtp.conectiontimeout', 'mail.smtp.connectiontimeout'],
    ['mail.smtp.username', 'mail.smtp.user'],
    ['mail.imaps.pwd', 'mail.imaps.password'],
    ['mail.smtp.tls', 'mail.smtp.starttls.enable'],
    ['mail.stmp.host', 'mail.smtp.host'],
    ['mail.form', 'mail.from'],
    ['client_id', 'client.id'],
    ['tenantid', 'tenant.id'],
    ['deletedeltaday', 'deletedelta_day'],
    ['mail.transport.protocoll', 'mail.transport.protocol'],
    ['mail.smtp.quitwait', undefined],
    ['mail.mime.charset', undefined],
    ['id', undefined],
    ['', undefined],
    ['__proto__', undefined],
    ['mail.smtp.constructor', undefined],
    ['x'.repeat(200), undefined],
  ])('%s: %s', (name, meant) => {
    expect(suggestProperty(name, ['mail.smtp.'])).toBe(meant);
  });

  it('prefers the protocols of the account', () => {
    expect(suggestProperty('mail.imp.host', ['mail.imap.'])).toBe('mail.imap.host');
    expect(suggestProperty('mail.pop.host', ['mail.pop3s.'])).toBe('mail.pop3s.host');
  });

  it('never proposes another name for a right one', () => {
    for (const name of knownNames) expect(suggestProperty(name, [])).toBe(name);
  });
});
