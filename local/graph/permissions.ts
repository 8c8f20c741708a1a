import type { Caller } from './bearer.ts';
import { accessDenied } from './graph-error.ts';

/** Application permissions of which one is needed (Microsoft Graph permissions reference). */
const reading = ['Mail.Read', 'Mail.ReadWrite'];
const readingFolders = ['Mail.ReadBasic.All', ...reading];
/** Those of messages: subscriptions to anything else are not offered. Reading is enough, also to end one. */
const subscribing = ['Mail.ReadBasic.All', ...reading];
const changing = ['Mail.ReadWrite'];
const sending = ['Mail.Send'];

const needed: Readonly<Record<string, readonly string[]>> = {
  'user.sendMail': sending,
  'user.message.send': sending,
  'user.GetMessage': reading,
  'user.GetMessageContent': reading,
  'user.mailFolder.ListMessages': reading,
  'user.mailFolder.message.delta': reading,
  'user.message.ListAttachments': reading,
  'user.message.GetAttachment': reading,
  'user.message.GetAttachmentContent': reading,
  'user.ListMailFolders': readingFolders,
  'user.GetMailFolder': readingFolders,
  'user.mailFolder.ListChildFolders': readingFolders,
  'subscription.CreateSubscription': subscribing,
  'subscription.ListSubscription': subscribing,
  'subscription.GetSubscription': subscribing,
  'subscription.UpdateSubscription': subscribing,
  'subscription.reauthorize': subscribing,
  'subscription.DeleteSubscription': subscribing,
};

/** Throws 403 unless the caller may use an operation. What only reads or sends is listed; the rest changes. */
export function checkPermission(caller: Caller, operationId: string): void {
  const { roles } = caller;
  if (roles === undefined) return;
  if (!(needed[operationId] ?? changing).some((role) => roles.has(role))) throw accessDenied();
}
