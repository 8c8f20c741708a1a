import { check, compareAssets, importNow, incomingMail, listAssets, send, stepMs } from './demo-calls.ts';
import type { DemoClient } from './demo-client.ts';
import type { Graph } from './graph/graph.ts';
import type { Laptop } from './laptop.ts';
import { graphUser } from './laptop-mailboxes.ts';
import type { AppIdentity } from './laptop-settings.ts';
import { graphReadyMailbox } from './ready-mailboxes.ts';

const account = 'graph-demo';
const route = `/api/accounts/${account}`;
const subjects = ['An order', 'A question', 'A complaint'] as const;
/** Somebody outside: the mail leaves the mailbox, and does not come back to it. */
const recipient = 'jane@example.org';

/** The same with Microsoft Graph, whose mails are deleted as soon as they are imported. Throws at what is not true. */
export async function graphSteps(client: DemoClient, laptop: Laptop, say: (line: string) => void): Promise<void> {
  const { graph, app } = laptop;
  if (!graph) throw new Error('the Graph stand-in was not started');
  const mailbox = graph.mailbox(graphUser);
  check(mailbox.mails().length === 0, 'the Graph mailbox is empty at first');

  say(`6. The account "${account}": sends and fetches by Microsoft Graph, and deletes what it has imported.`);
  await makeAccount(client, app);
  const mails = subjects.map((subject) => incomingMail(graphUser, subject));
  for (const mail of mails) mailbox.deliver(mail);
  check(mailbox.mails('inbox').length === mails.length, `the inbox holds ${mails.length} mails`);
  say(`   ${mails.length} mails come into the mailbox ${graphUser}.`);

  say('7. Importing them.');
  const first = await importNow(client, account);
  check(first.imported === mails.length, `all mails are imported (imported ${first.imported})`);
  const assets = await listAssets(client, account);
  await compareAssets(client, assets, mails, say);
  checkEmptied(graph, mails.length);
  say(`   The inbox is empty: the ${mails.length} originals are in Deleted Items.`);

  say('8. Importing a second and a third time.');
  for (const which of ['second', 'third']) {
    const again = await importNow(client, account);
    check(again.imported === 0, `the ${which} run imports nothing (imported ${again.imported})`);
    check((await listAssets(client, account)).join() === assets.join(), 'the assets are the same as before');
    checkEmptied(graph, mails.length);
    say(`   The ${which} run brought nothing: still ${assets.length} assets, and the inbox is still empty.`);
  }

  say('9. A mail sent through Graph, and the same request once more, as after a lost answer.');
  const body = { to: recipient, subject: 'Hello through Graph', text: 'A mail from the demo.' };
  const sent = await send(client, `${route}/messages`, body, 'graph-demo');
  const repeated = await send(client, `${route}/messages`, body, 'graph-demo');
  check(repeated.id === sent.id, 'the second request is answered with the first mail');
  // Exchange files the copy in Sent Items a little after the mail has left.
  const inSentItems = await client.until(
    'the copy in Sent Items',
    async () => {
      const copies = mailbox.mails('sentitems');
      return copies.length > 0 ? copies : undefined;
    },
    stepMs,
  );
  const left = graph.sent();
  check(left.length === 1, `the mail left once (it left ${left.length} times)`);
  check(left[0]?.messageId === sent.messageId, 'it has the Message-ID that Mailroom gave');
  check(left[0]?.recipients.join() === recipient, 'it went to its recipient');
  check(inSentItems.length === 1, 'there is one copy in Sent Items');
  check(mailbox.mails('drafts').length === 0, 'no draft is left behind');
  say(`   It left once: ${sent.messageId}, for ${recipient}`);

  const [violation] = graph.violations;
  check(violation === undefined, `Graph found nothing wrong with any request (${JSON.stringify(violation)})`);
  check(graph.exposedTokens.length === 0, 'no token went to a host that it was not for');
}

async function makeAccount(client: DemoClient, app: AppIdentity): Promise<void> {
  const { account: ready, secrets } = graphReadyMailbox(app);
  const body = { ...ready, import: { schedule: null, delete: 'immediately' } };
  await client.call('PUT', route, { body, expect: [200, 201] });
  for (const [name, value] of Object.entries(secrets))
    await client.call('PUT', `${route}/secrets/${name}`, { body: { value }, expect: [200] });
}

function checkEmptied(graph: Graph, originals: number): void {
  const mailbox = graph.mailbox(graphUser);
  const left = mailbox.mails('inbox').length;
  check(left === 0, `the inbox is empty (it holds ${left})`);
  const deleted = mailbox.mails('deleteditems').length;
  check(deleted === originals, `the originals are in Deleted Items (it holds ${deleted})`);
}
