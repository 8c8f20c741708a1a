import { afterAll, beforeAll, expect, it } from 'vitest';
import { frozenMail, outcomes, sendOptions } from '../../../../test/contract/transport.contract.ts';
import { type GraphSite, startGraphSite, testUser } from '../../../../test/support/graph-fixture.ts';

let site: GraphSite;

beforeAll(async () => {
  site = await startGraphSite({ mailboxes: [{ userPrincipalName: testUser, displayName: 'Corpus' }] });
});
afterAll(() => site.stop());

it('a draft of another mail with the same Message-ID is left to that mail', async () => {
  const transport = site.transport();
  const mail = frozenMail();
  const other = { ...mail, id: 'corpus.another', envelope: { ...mail.envelope, to: ['bert@example.org'] } };
  // One mail whose draft is ready and was not sent yet.
  let remembered = '';
  const remember = async (note: string) => {
    remembered = note;
  };
  const refused = async () => {
    throw new Error('the commit point cannot be written');
  };
  expect(outcomes(await transport.send(mail, sendOptions({ remember, beforeCommit: refused })))).toEqual(['deferred']);
  const ready = remembered;
  // Another one whose attempt ended before it made its draft, or labelled it.
  const identity = { graph: JSON.parse(ready).graph, state: 'making', kind: 'whole' };
  const making = { ...sendOptions(), remembered: JSON.stringify(identity) };
  expect(outcomes(await transport.send(other, making))).toEqual(['accepted']);
  expect(outcomes(await transport.send(mail, { ...sendOptions(), remembered: ready }))).toEqual(['accepted']);
  const sent = site.graph.sent(testUser).map(({ recipients }) => recipients);
  expect(sent.sort()).toEqual([['anna@example.org'], ['bert@example.org']]);
  await transport.close();
  expect(site.graph.violations).toEqual([]);
});
