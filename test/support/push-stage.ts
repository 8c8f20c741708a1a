import { expect } from 'vitest';
import type { SubscriptionState } from '../../local/graph/graph.ts';
import { type GraphAccountOptions, graphAccount } from './graph-account.ts';
import { simpleMail } from './mailbox-account.ts';
import { type Mailroom, until } from './mailroom.ts';

/** An account's mailbox has its name. */
export const userOf = (account: string): string => `${account}@example.com`;

/** Makes (or changes) an account with push, whose mail nothing else looks for. */
export async function pushAccount(
  mailroom: Mailroom,
  account: string,
  options: Partial<GraphAccountOptions> = {},
): Promise<void> {
  await graphAccount(mailroom, account, { user: userOf(account), transport: null, push: true, ...options });
}

/** The subscriptions that Graph has of an account's mailbox. */
export function subscriptions(mailroom: Mailroom, account: string): readonly SubscriptionState[] {
  return mailroom.graph.subscriptions.list(userOf(account));
}

/** Waits until every folder of the account has a subscription, and Mailroom knows it. */
export async function subscribed(mailroom: Mailroom, account: string): Promise<void> {
  let push: unknown;
  await until(`the subscriptions of ${account}`, 60, async () => {
    const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${account}/status`);
    push = json.push;
    return json.push.folders.every(({ state }: { state: string }) => state === 'active');
  }).catch((error: unknown) => {
    throw new Error(`not subscribed: ${JSON.stringify(push)}`, { cause: error });
  });
}

/**
 * Puts a mail into the inbox of each account and waits for their assets. Answers the milliseconds that the slowest took.
 */
export async function arrive(mailroom: Mailroom, accounts: readonly string[], subject: string): Promise<number> {
  const began = performance.now();
  const since = new Date(Date.now() - 1_000).toISOString();
  const wanted = new Set(accounts.map((account) => `${subject}-${account}`));
  for (const account of accounts) mailroom.graph.mailbox(userOf(account)).deliver(simpleMail(`${subject}-${account}`));
  await until(`the assets of ${subject}`, 90, async () => {
    const { json } = await mailroom.expect(200, 'GET', `/api/assets?top=1000&since=${since}`);
    for (const asset of json.items) wanted.delete(asset.subject);
    return wanted.size === 0;
  });
  return performance.now() - began;
}

/** How often a function has run. */
export async function executed(mailroom: Mailroom, name: string): Promise<number> {
  return (await mailroom.log()).split(`Executed 'Functions.${name}'`).length - 1;
}

/** One subscription to the inbox of each account, and each tells of new mail. */
export async function expectOneEach(mailroom: Mailroom, accounts: readonly string[], subject: string): Promise<void> {
  // A row says `active` of one that has vanished, until somebody looks.
  await until('a subscription each', 60, async () =>
    accounts.every((account) => subscriptions(mailroom, account).length > 0),
  );
  await Promise.all(accounts.map((account) => subscribed(mailroom, account)));
  expect(accounts.map((account) => subscriptions(mailroom, account).length)).toEqual(accounts.map(() => 1));
  await arrive(mailroom, accounts, subject);
}
