import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { frozenMail, sendOptions } from '../../../../test/contract/transport.contract.ts';
import { type GraphSite, startGraphSite, testUser } from '../../../../test/support/graph-fixture.ts';
import type { MailTransport, Receipt } from '../../transport.ts';

/** An Exchange that puts a Message-ID of its own into what it is given. */

let site: GraphSite;
let transport: MailTransport;

beforeAll(async () => {
  site = await startGraphSite({ mailboxes: [{ userPrincipalName: testUser, ownMessageIds: true }] });
});
afterAll(() => site.stop());
beforeEach(() => {
  site.graph.reset();
  transport = site.transport();
});
afterEach(async () => {
  await transport.close();
  site.graph.faults.clear();
});

/** The Message-ID under which the mail has left, which is not its own. */
function sentAs(mail: { readonly messageId: string }): string {
  const [sent, ...more] = site.graph.sent(testUser);
  expect(more).toEqual([]);
  expect(sent?.messageId).toMatch(/^<.+@.+>$/);
  expect(sent?.messageId).not.toBe(mail.messageId);
  return sent?.messageId ?? '';
}

const replies = (receipt: Receipt | undefined) =>
  receipt?.recipients.map(({ outcome, reply }) => `${outcome} ${reply}`);

it('the receipt says the new id, by which a bounce is recognised', async () => {
  const mail = frozenMail();
  const receipt = await transport.send(mail, sendOptions());
  expect(replies(receipt)).toEqual([`accepted Exchange sends it as ${sentAs(mail)}`]);
});

it('and so does one whose answer was lost, when it is asked for later', async () => {
  const mail = frozenMail();
  let note: string | undefined;
  const remember = async (text: string) => {
    note = text;
  };
  await transport.send(mail, { ...sendOptions(), remember });
  expect(note?.length).toBeLessThanOrEqual(1_000);
  const later = await transport.resolveUncertain?.(mail, {
    signal: AbortSignal.timeout(150_000),
    remember,
    sinceCommitMs: 60_000,
    ...(note === undefined ? {} : { remembered: note }),
  });
  expect(replies(later)).toEqual([`accepted Exchange sends it as ${sentAs(mail)}`]);
});
