import { at, type Json, withAt } from '../../parts/draft.ts';
import type { Secrets } from '../account/account-requests.ts';

/** Where an account names its secrets. */
const places = ['/store', '/transport'].flatMap((side) =>
  ['/auth/secret', '/auth/credential/secret', '/credential/secret'].map((place) => side + place),
);

/** The draft and its secrets, or their ends, under another name of the account: names of secrets begin with it. */
export function renamed(
  value: Json,
  secrets: Secrets,
  from: string,
  to: string,
): { readonly value: Json; readonly secrets: Secrets } {
  const start = `${from || 'account'}-`;
  const rename = (secret: string) =>
    secret.startsWith(start) ? `${to || 'account'}-${secret.slice(start.length)}` : secret;
  const changed = places.reduce<Json>((before, place) => {
    const secret = at(before, place);
    return typeof secret === 'string' ? withAt(before, place, rename(secret)) : before;
  }, value);
  return {
    value: changed,
    secrets: Object.fromEntries(Object.entries(secrets).map(([secret, text]) => [rename(secret), text])),
  };
}
