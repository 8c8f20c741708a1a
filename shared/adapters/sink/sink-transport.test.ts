import { describe, expect, it } from 'vitest';
import { frozenMail, mailContract, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { startSinkSubject } from '../../../test/support/sink-subject.ts';
import { createSinkTransport } from './sink-transport.ts';

mailContract('sink', startSinkSubject);

describe('recipients of the sink', () => {
  const to = [
    'rejected@sink.invalid',
    'Deferred@SINK.invalid',
    'uncertain@sink.invalid',
    'bounced@sink.invalid',
    'anna@sink.invalid',
    'rejected@example.org',
  ];

  it('become what they are called, in that domain alone', async () => {
    const options = sendOptions();
    const receipt = await createSinkTransport().send(frozenMail({ to }), options);
    expect(outcomes(receipt)).toEqual(['rejected', 'deferred', 'uncertain', 'accepted', 'accepted', 'accepted']);
    expect(receipt.recipients.map(({ address }) => address)).toEqual(to);
    expect(receipt.recipients[0]).toMatchObject({ code: '550', reply: expect.stringContaining('5.1.1') });
    expect(receipt.recipients[1]).toMatchObject({ code: '451' });
    expect(receipt.recipients[3]?.bounce).toEqual({ status: '5.1.1', diagnostic: expect.any(String) });
    expect(receipt.recipients[4]?.bounce).toBeUndefined();
    expect(receipt.trouble).toBeDefined();
    expect(options.commits()).toBe(1);
  });

  it('who all refuse the mail get none: nothing is committed', async () => {
    const options = sendOptions();
    const receipt = await createSinkTransport().send(frozenMail({ to: to.slice(0, 2) }), options);
    expect(outcomes(receipt)).toEqual(['rejected', 'deferred']);
    expect(options.commits()).toBe(0);
  });
});
