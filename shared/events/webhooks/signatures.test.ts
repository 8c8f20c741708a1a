import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { maxVersions, signatureHeaders, UnusableSecret } from './signatures.ts';

const standard = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const content = { id: 'mailroom.message.sent:corpus.1', at: new Date(), body: '{"subject":"Grüße"}' };

describe('signatures', () => {
  it.each([
    ['the form of Standard Webhooks', standard, new Webhook(standard)],
    ['any text', 'geheim: ein Satz', new Webhook('geheim: ein Satz', { format: 'raw' })],
    ['a text beyond ASCII', 'schlüssel €', new Webhook(Buffer.from('schlüssel €'), { format: 'raw' })],
  ])('of a secret in %s are verified by the public library', (_, secret, receiver) => {
    const headers = signatureHeaders([secret], content);
    expect(receiver.verify(content.body, { ...headers })).toEqual({ subject: 'Grüße' });
    expect(() => receiver.verify(content.body.replace('G', 'g'), { ...headers })).toThrow();
    expect(() => receiver.verify(content.body, { ...headers, 'webhook-id': 'another' })).toThrow();
  });

  it('of several versions are each verified, and are not endless', () => {
    const secrets = Array.from({ length: 9 }, (_, n) => `version ${n}`);
    const headers = signatureHeaders(secrets, content);
    expect(headers['webhook-signature']?.split(' ')).toHaveLength(maxVersions);
    for (const secret of secrets.slice(0, maxVersions))
      expect(() => new Webhook(secret, { format: 'raw' }).verify(content.body, { ...headers })).not.toThrow();
  });

  it.each(['whsec_!!!', 'whsec_'])('are not made of %s', (secret) => {
    expect(() => signatureHeaders([secret], content)).toThrow(UnusableSecret);
  });
});
