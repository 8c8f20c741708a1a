import { describe, expect, it } from 'vitest';
import { accepted, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { resolveAccount } from '../../accounts/rules.ts';
import { isLeased } from '../../platform/row-lease.ts';
import { localIdOf, recordKey } from '../keys.ts';
import { cancelMessage } from '../messages.ts';
import { claimMs } from './claim.ts';
import { deliver } from './deliver.ts';

const options = { signal: new AbortController().signal };

/** A mail that was accepted a moment ago, what its record says after each write, and how often its last bytes left. */
async function mail() {
  const outbox = new MemoryOutbox();
  const id = await outbox.accept();
  const asked = { ...options, accepted: await outbox.etag(id) };
  const key = recordKey(localIdOf(`m:${id.slice(id.indexOf('.') + 1)}`));
  const written: unknown[] = [];
  outbox.rows.onWrite = (_, writes) => {
    for (const write of writes) {
      if (write.key === key && write.kind !== 'delete') written.push({ kind: write.kind, ...write.columns });
    }
  };
  const left = { times: 0 };
  outbox.transport.onSend = async (frozen, { beforeCommit }) => {
    await beforeCommit();
    left.times += 1;
    return accepted(frozen);
  };
  const isClaimed = async () => isLeased(await outbox.rows.get('corpus', key), { lapseMs: claimMs }, outbox.now);
  return { outbox, id, asked, written, left, isClaimed };
}

describe('the claim of a mail’s first delivery', () => {
  it('is written with the commit point', async () => {
    const { outbox, id, asked, written } = await mail();
    expect(await deliver(outbox.context, id, asked)).toBe('ended');
    expect(written.slice(0, 2)).toMatchObject([
      { kind: 'merge', status: 'sending', committing: true, leaseOwner: expect.any(String), claimedAt: outbox.now },
      { kind: 'replace', status: 'sent' },
    ]);
    expect(await outbox.record(id)).toMatchObject({ status: 'sent', attempts: [{ outcome: 'sent' }] });
  });

  it('is written before it, where the server takes its time', async () => {
    const { outbox, id, asked, isClaimed } = await mail();
    outbox.transport.onSend = async (frozen, { beforeCommit }) => {
      await expect.poll(isClaimed).toBe(true);
      expect(await outbox.record(id)).toMatchObject({ status: 'sending' });
      expect((await outbox.record(id)).committing).toBeUndefined();
      await expect(cancelMessage(outbox.context, id, options)).rejects.toThrow();
      // Handed out by the queue again meanwhile, it is left alone.
      expect(await deliver(outbox.context, id, { ...asked, again: true })).toBe('claimed');
      await beforeCommit();
      return accepted(frozen);
    };
    expect(await deliver(outbox.context, id, asked)).toBe('ended');
    expect(outbox.transport.sent).toHaveLength(1);
  });

  it('is none where the mail was taken back before: the last bytes do not leave', async () => {
    const { outbox, id, asked, left } = await mail();
    const send = outbox.transport.onSend;
    outbox.transport.onSend = async (frozen, sending) => {
      await cancelMessage(outbox.context, id, options);
      return await send(frozen, sending);
    };
    expect(await deliver(outbox.context, id, asked)).toBe('ended');
    expect(left.times).toBe(0);
    expect(await outbox.record(id)).toMatchObject({ status: 'canceled', attempts: [] });
  });

  it('is none for a process that stood still while another one sent the mail', async () => {
    const { outbox, id, asked, left } = await mail();
    const send = outbox.transport.onSend;
    let isFirst = true;
    outbox.transport.onSend = async (frozen, sending) => {
      if (isFirst) {
        isFirst = false;
        expect(await deliver(outbox.context, id, asked)).toBe('ended');
        outbox.now += 3_600_000;
      }
      return await send(frozen, sending);
    };
    expect(await deliver(outbox.context, id, asked)).toBe('ended');
    expect(left.times).toBe(1);
    expect(await outbox.record(id)).toMatchObject({ status: 'sent', attempts: [{ outcome: 'sent' }] });
  });

  it('needs no write of its own for a refusal', async () => {
    const { outbox, id, asked, written } = await mail();
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'rejected' as const, code: '550' })),
    });
    expect(await deliver(outbox.context, id, asked)).toBe('ended');
    expect(written[0]).toMatchObject({ kind: 'replace', status: 'failed' });
  });

  it('is written at once where the queue has handed the mail out before: an attempt may have been cut', async () => {
    const { outbox, id, asked, isClaimed } = await mail();
    outbox.transport.onSend = async (frozen, { beforeCommit }) => {
      expect(await isClaimed()).toBe(true);
      await beforeCommit();
      return accepted(frozen);
    };
    expect(await deliver(outbox.context, id, { ...asked, again: true })).toBe('ended');
  });

  it('is written at once for a mail that waited for some seconds: who took it back meanwhile finds nothing sent', async () => {
    const { outbox, id, asked } = await mail();
    await cancelMessage(outbox.context, id, options);
    outbox.now += 5_000;
    expect(await deliver(outbox.context, id, asked)).toBe('ended');
    expect(outbox.transport.sent).toEqual([]);
  });

  it('is written at once for Graph, where a draft is made before the commit point', async () => {
    const { outbox, id, asked, isClaimed } = await mail();
    const credential = { type: 'managedIdentity' };
    const transport = { protocol: 'graph', userId: 'corpus@example.com', credential };
    const { account } = resolveAccount('corpus', { from: 'corpus@example.com', transport });
    outbox.accounts.set('corpus', account);
    outbox.transport.onSend = async (frozen, { beforeCommit }) => {
      expect(await isClaimed()).toBe(true);
      await beforeCommit();
      return accepted(frozen);
    };
    expect(await deliver(outbox.context, id, asked)).toBe('ended');
  });
});
