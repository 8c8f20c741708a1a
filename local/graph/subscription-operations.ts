import type { OpenCall } from './call.ts';
import { accessDenied } from './graph-error.ts';
import { linkOrigin } from './list-operations.ts';
import { noContent, ok, type Reply } from './reply.ts';
import { type Subscription, subscriptionJson } from './subscription.ts';
import { renewalInput, subscriptionInput } from './subscription-input.ts';

/** Subscriptions to changes ("Use the Microsoft Graph API to get change notifications"). */

/** On a page of the list; Microsoft names no number. */
const pageSize = 100;

type Handler = (call: OpenCall) => Reply | Promise<Reply>;

const create: Handler = async (call) => {
  const { service, caller, prefer } = call;
  const input = subscriptionInput(call.json, service.mailbox, service.now());
  if (!input.mailbox.enabled) throw accessDenied();
  const made = await service.subscriptions.create(caller, input, prefer.immutableIds);
  return {
    status: 201,
    headers: { location: `${call.origin}/v1.0/subscriptions('${made.id}')` },
    json: entity(call, made, true),
  };
};

const get: Handler = (call) => ok(entity(call, call.service.subscriptions.get(call.caller, idOf(call)), false));

const list: Handler = (call) => {
  const all = call.service.subscriptions.list(call.caller);
  const from = Number(call.query.get('$skiptoken') ?? 0);
  const next = from + pageSize;
  return ok({
    '@odata.context': `${call.origin}/v1.0/$metadata#subscriptions`,
    value: all.slice(from, next).map((one) => subscriptionJson(one, { withState: false })),
    ...(next < all.length ? { '@odata.nextLink': `${linkOrigin(call)}/v1.0/subscriptions?$skiptoken=${next}` } : {}),
  });
};

const renew: Handler = (call) => {
  const { service, caller } = call;
  const expiresAt = renewalInput(call.json, service.now());
  return ok(entity(call, service.subscriptions.renew(caller, idOf(call), expiresAt), false));
};

const reauthorize: Handler = (call) => {
  call.service.subscriptions.reauthorize(call.caller, idOf(call));
  return noContent;
};

const remove: Handler = (call) => {
  call.service.subscriptions.remove(call.caller, idOf(call));
  return noContent;
};

export const subscriptionOperations: Readonly<Record<string, Handler>> = {
  'subscription.CreateSubscription': create,
  'subscription.ListSubscription': list,
  'subscription.GetSubscription': get,
  'subscription.UpdateSubscription': renew,
  'subscription.reauthorize': reauthorize,
  'subscription.DeleteSubscription': remove,
};

const idOf = (call: OpenCall) => call.parameters['subscription-id'] ?? '';

function entity(call: OpenCall, subscription: Subscription, withState: boolean) {
  return {
    '@odata.context': `${call.origin}/v1.0/$metadata#subscriptions/$entity`,
    ...subscriptionJson(subscription, { withState }),
  };
}
